import type { Call } from '../../http/call.ts';
import { isUuid } from '../../lib/ids.ts';
import { placementBadRequest } from '../../model/errors-placement.ts';
import { aggregatesCanBeForbidden, anyTraitCanBeAsked, memberOfCanRepeat, traitsCanBeForbidden } from './microversions.ts';

const bad = (why: string) => placementBadRequest({ why });

/** `VCPU:2,MEMORY_MB:512` as amounts. */
export function readResources(text: string): Map<string, number> {
  const form =
    'Badly formed resources parameter. Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024. Got:';
  if (text.trim() === '') throw bad(`${form} empty string.`);
  const amounts = new Map<string, number>();
  for (const part of text.split(',')) {
    const [name, amount, rest] = part.split(':');
    if (name === undefined || amount === undefined || rest !== undefined) throw bad(`${form} ${part}.`);
    if (!/^\s*[+-]?\d+\s*$/.test(amount)) throw bad(`Requested resource ${name} expected positive integer amount. Got: ${amount}.`);
    if (Number(amount) < 1) throw bad(`Requested resource ${name} requires amount >= 1. Got: ${Number(amount)}.`);
    amounts.set(name, Number(amount));
  }
  return amounts;
}

/** Traits a provider must have, one of each set, and those it must not have. */
export interface TraitWish {
  readonly required: readonly ReadonlySet<string>[];
  readonly forbidden: ReadonlySet<string>;
}
const INVALID = 'Invalid query string parameters:';

function readTraits(text: string, may: { forbid: boolean; any: boolean }): TraitWish {
  if (text.startsWith('in:')) {
    if (!may.any) throw bad(`${INVALID} The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since microversion 1.39. Got: ${text}`);
    const names = text
      .slice(3)
      .split(',')
      .map((name) => name.trim());
    if (names.some((name) => name === ''))
      throw bad(
        `${INVALID} Expected 'required' parameter value of the form: in:HW_CPU_X86_VMX,CUSTOM_MAGIC. Got an empty trait in: ${text}`,
      );
    if (names.some((name) => name.startsWith('!')))
      throw bad(`${INVALID} The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' does not support forbidden traits. Got: ${text}`);
    return { required: [new Set(names)], forbidden: new Set() };
  }
  const names = text.split(',').map((name) => name.trim());
  const forbidden = names.filter((name) => name.startsWith('!')).map((name) => name.replace(/^!+/, ''));
  if ([...names, ...forbidden].some((name) => name === ''))
    throw bad(
      `${INVALID} Expected 'required' parameter value of the form: HW_CPU_X86_VMX,${may.forbid ? '!' : ''}CUSTOM_MAGIC. Got an empty trait in: ${text}`,
    );
  if (forbidden.length > 0 && !may.forbid)
    throw bad(`${INVALID} Expected 'required' parameter value of the form: HW_CPU_X86_VMX,CUSTOM_MAGIC. Got: ${text}`);
  return { required: names.filter((name) => !name.startsWith('!')).map((name) => new Set([name])), forbidden: new Set(forbidden) };
}

/** Every `required` of a group; before 1.39 only the last one counts. */
export function readRequired(call: Call, word: string): TraitWish {
  const may = { forbid: traitsCanBeForbidden(call.version), any: anyTraitCanBeAsked(call.version) };
  const values = call.query[word] ?? [];
  const wishes = (may.any ? values : values.slice(-1)).map((value) => readTraits(value, may));
  return { required: wishes.flatMap((wish) => wish.required), forbidden: new Set(wishes.flatMap((wish) => [...wish.forbidden])) };
}
/** What the root must and must not have: `root_required`, which knows no `in:`. */
export const readRootRequired = (text: string): TraitWish => readTraits(text, { forbid: true, any: false });

/** Aggregates of which one of each set must hold the provider, and those none of which may. */
export interface AggregateWish {
  readonly memberOf: readonly ReadonlySet<string>[];
  readonly notMemberOf: ReadonlySet<string>;
}
export function readMemberOf(call: Call, word: string): AggregateWish {
  const values = call.query[word] ?? [];
  if (values.length > 1 && !memberOfCanRepeat(call.version)) throw bad(`Multiple ${word} parameters are not supported`);
  const memberOf: ReadonlySet<string>[] = [];
  const notMemberOf = new Set<string>();
  for (const value of values) {
    const negative = value.startsWith('!');
    const rest = negative ? value.slice(1) : value;
    const several = rest.startsWith('in:');
    if (value.includes(',') && !several)
      throw bad(
        `Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid microversion. Got: ${value}`,
      );
    const uuids = several ? rest.slice(3).split(',') : [rest];
    const wrong = uuids.find((uuid) => !isUuid(uuid));
    if (wrong !== undefined) throw bad(`${INVALID} Expected 'member_of' parameter to contain valid UUID(s). Got: ${wrong}`);
    if (!negative) memberOf.push(new Set(uuids));
    else {
      if (!aggregatesCanBeForbidden(call.version))
        throw bad(`Forbidden ${word} parameters are not supported in the specified microversion`);
      for (const uuid of uuids) notMemberOf.add(uuid);
    }
  }
  return { memberOf, notMemberOf };
}

export function readInTree(text: string): string {
  const uuid = text.trim();
  if (!isUuid(uuid)) throw bad(`${INVALID} Expected 'in_tree' parameter to be a format of uuid. Got: ${text}`);
  return uuid;
}
