import { compareText, PythonFloat, PythonObject, parseJson } from '../../../model/python.ts';
import { type Filter, no, ok } from '../filter.ts';
import type { HostView } from '../host-view.ts';
import { attributeOf } from '../nova-attributes.ts';
import { hintOf } from '../wish.ts';

/** The hint `query`: a condition on the host's attributes in JSON. Throws for what is no condition.  Spec: Nova's JsonFilter; arguments that are
 *  missing are left out, values compare as in Python, `not` answers a list of which any counts. */
export const JsonFilter: Filter = {
  name: 'JsonFilter',
  judge(host, { wish }) {
    const query = hintOf(wish, 'query');
    if (!truth(query)) return ok;
    if (typeof query !== 'string') throw new Error('the query is no JSON text');
    const result = process(plain(parseJson(query)), host);
    return (Array.isArray(result) ? result.some(truth) : truth(result)) ? ok : no('the query does not hold');
  },
};

function process(query: unknown, host: HostView): unknown {
  if (!truth(query)) return true;
  if (typeof query !== 'string' && !Array.isArray(query)) throw new Error('a condition is a list that begins with its operator');
  const [name, ...rest] = typeof query === 'string' ? [...query] : query;
  if (typeof name !== 'string' || !Object.hasOwn(operators, name)) throw new Error(`there is no operator ${JSON.stringify(name)}`);
  const values: unknown[] = [];
  for (const item of rest) {
    const value = Array.isArray(item) ? process(item, host) : typeof item === 'string' ? attribute(item, host) : item;
    if (value !== null && value !== undefined) values.push(value);
  }
  return operators[name]!(values);
}

const compared = (holds: (first: unknown, other: unknown) => boolean) => (values: readonly unknown[]) => {
  const [first, ...others] = values;
  // Each is compared, also after one that does not hold: a comparison that cannot be made must be heard of.
  return others.length > 0 && others.map((other) => holds(first, other)).every(Boolean);
};
const operators: Readonly<Record<string, (values: readonly unknown[]) => unknown>> = {
  '=': compared(equal),
  '<': compared((a, b) => order(a, b) < 0),
  '>': compared((a, b) => order(a, b) > 0),
  '<=': compared((a, b) => order(a, b) <= 0),
  '>=': compared((a, b) => order(a, b) >= 0),
  in: ([first, ...others]) => others.some((other) => equal(first, other)),
  not: (values) => values.map((value) => !truth(value)),
  or: (values) => values.some(truth),
  and: (values) => values.every(truth),
};

/** `$name.part` out of the host; another text is itself; nothing for an empty one. */
function attribute(text: string, host: HostView): unknown {
  if (text === '') return null;
  if (!text.startsWith('$')) return text;
  const [name = '', ...path] = text.slice(1).split('.');
  let at = plain(attributeOf(host, name));
  for (const word of path) {
    if (at === null) return null;
    if (typeof at !== 'object' || Array.isArray(at)) throw new Error(`${text} leads into what has no parts`);
    const fields = at instanceof PythonObject ? at.fields : (at as Record<string, unknown>);
    at = Object.hasOwn(fields, word) ? plain(fields[word]) : null;
  }
  return at;
}

/** Whole and broken numbers are one kind here. */
const plain = (value: unknown): unknown => {
  if (value instanceof PythonFloat) return value.value;
  return Array.isArray(value) ? value.map(plain) : (value ?? null);
};
function truth(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof PythonObject) return true;
  return value !== null && typeof value === 'object' ? Object.keys(value).length > 0 : Number.isNaN(value) || Boolean(value);
}
const number = (value: unknown) => (typeof value === 'boolean' ? Number(value) : value);
function equal(a: unknown, b: unknown): boolean {
  const [left, right] = [number(a), number(b)];
  if (Array.isArray(left) && Array.isArray(right)) return left.length === right.length && left.every((item, at) => equal(item, right[at]));
  if (
    left !== null &&
    right !== null &&
    typeof left === 'object' &&
    typeof right === 'object' &&
    !Array.isArray(left) &&
    !Array.isArray(right)
  ) {
    const [own, other] = [left as Record<string, unknown>, right as Record<string, unknown>];
    const keys = Object.keys(own);
    return (
      keys.length === Object.keys(other).length &&
      keys.every((key) => Object.hasOwn(other, key) && equal(plain(own[key]), plain(other[key])))
    );
  }
  return left === right;
}
/** Below, at or above zero; NaN where numbers have no order. Throws for things of different kinds. */
function order(a: unknown, b: unknown): number {
  const [left, right] = [number(a), number(b)];
  if (typeof left === 'number' && typeof right === 'number') return left === right ? 0 : left - right;
  if (typeof left === 'string' && typeof right === 'string') return compareText(left, right);
  if (Array.isArray(left) && Array.isArray(right)) {
    for (const [at, item] of left.entries()) {
      if (at >= right.length) return 1;
      if (!equal(item, right[at])) return order(item, right[at]);
    }
    return left.length - right.length;
  }
  throw new Error('things of different kinds have no order');
}
