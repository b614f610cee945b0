import type { Caller } from './caller.ts';

/** What a rule is held against: the object's owner and whatever a rule may name. */
export type Target = Readonly<Record<string, string | null | undefined>>;
type Check = (caller: Caller, target: Target, rules: ReadonlyMap<string, Check>, depth: number) => boolean;

/** Rules in oslo.policy's language, compiled. Unknown rules refuse.  Spec: oslo.policy "policy file" documentation. */
export interface Policy {
  allows(rule: string, caller: Caller, target: Target): boolean;
  has(rule: string): boolean;
}

const never: Check = () => false;
const always: Check = () => true;

/** Compiles a table of rules; `overrides` (of policy.yaml) replace defaults by name. Throws an Error that names the rule it cannot read. */
export function compilePolicy(defaults: Readonly<Record<string, string>>, overrides: Readonly<Record<string, string>> = {}): Policy {
  const rules = new Map<string, Check>();
  for (const [name, text] of Object.entries({ ...defaults, ...overrides })) {
    try {
      rules.set(name, parse(text));
    } catch (cause) {
      throw new Error(`policy rule "${name}" cannot be read: ${cause instanceof Error ? cause.message : String(cause)} in "${text}"`, {
        cause,
      });
    }
  }
  return {
    allows: (rule, caller, target) => rules.get(rule)?.(caller, target, rules, 0) ?? false,
    has: (rule) => rules.has(rule),
  };
}

function parse(text: string): Check {
  const words = text.match(/\(|\)|'[^']*':(?:%\([^)]*\)s|[^\s()])+|"[^"]*":(?:%\([^)]*\)s|[^\s()])+|(?:%\([^)]*\)s|[^\s()])+/g) ?? [];
  if (words.length === 0) return always;
  let at = 0;
  const either = (): Check => {
    let left = both();
    while (words[at]?.toLowerCase() === 'or') {
      at++;
      const [a, b] = [left, both()];
      left = (...args) => a(...args) || b(...args);
    }
    return left;
  };
  const both = (): Check => {
    let left = one();
    while (words[at]?.toLowerCase() === 'and') {
      at++;
      const [a, b] = [left, one()];
      left = (...args) => a(...args) && b(...args);
    }
    return left;
  };
  const one = (): Check => {
    const word = words[at++];
    if (word === undefined) throw new Error('it ends too early');
    if (word === '(') {
      const inner = either();
      if (words[at++] !== ')') throw new Error('a ) is missing');
      return inner;
    }
    if (word.toLowerCase() === 'not') {
      const inner = one();
      return (...args) => !inner(...args);
    }
    return leaf(word);
  };
  const whole = either();
  if (at < words.length) throw new Error(`"${words[at]}" is not expected`);
  return whole;
}

function leaf(word: string): Check {
  if (word === '@') return always;
  if (word === '!') return never;
  const colon =
    word.lastIndexOf(':%(') >= 0
      ? word.lastIndexOf(':%(')
      : word.startsWith("'") || word.startsWith('"')
        ? word.lastIndexOf(':')
        : word.indexOf(':');
  if (colon < 0) throw new Error(`"${word}" is neither kind:value nor @ nor !`);
  const kind = word.slice(0, colon);
  const value = word.slice(colon + 1);
  if (kind === 'rule')
    return (caller, target, rules, depth) => depth < 50 && (rules.get(value)?.(caller, target, rules, depth + 1) ?? false);
  if (kind === 'role') {
    const role = value.toLowerCase();
    return (caller) => caller.roles.some((mine) => mine.toLowerCase() === role);
  }
  const expected = /^%\((.+)\)s$/.exec(value)?.[1];
  const want = (target: Target) => (expected === undefined ? value : target[expected]);
  const literal = /^['"](.*)['"]$/.exec(kind)?.[1];
  return (caller, target) => {
    const wanted = want(target);
    const mine = literal ?? credential(kind, caller);
    return wanted !== undefined && wanted !== null && mine !== undefined && mine !== null && mine === wanted;
  };
}

function credential(kind: string, caller: Caller): string | null | undefined {
  switch (kind) {
    case 'is_admin':
      return caller.roles.includes('admin') ? 'True' : 'False';
    case 'project_id':
    case 'tenant_id':
    case 'tenant':
      return caller.projectId;
    case 'user_id':
      return caller.userId;
    case 'domain_id':
      return caller.domainId;
    case 'user_domain_id':
      return caller.userDomainId;
    case 'project_domain_id':
      return caller.projectDomainId;
    case 'system_scope':
    case 'system':
      return caller.systemScope;
    default:
      return undefined;
  }
}
