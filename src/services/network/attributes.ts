import { isUuid } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { formatCidr, formatIp, parseCidr, parseIp } from '../../model/ip-address.ts';

/** Turns what a client sent for one attribute into what we keep, or throws invalidInput (400) naming the attribute. */
export type Reader<T> = (value: unknown, name: string) => T;
/** One attribute of a body: how it is read, and when it may be sent. */
export interface Attribute<T> {
  readonly read: Reader<T>;
  /** 'create': refused in updates. */
  readonly on: 'create' | 'both';
  readonly needed?: true;
}
// biome-ignore lint/suspicious/noExplicitAny: a table holds readers of many types; Values recovers each
export type Attributes = Readonly<Record<string, Attribute<any>>>;
export type Values<A extends Attributes> = { readonly [K in keyof A]?: A[K] extends Attribute<infer T> ? T : never };

export const both = <T>(read: Reader<T>): Attribute<T> => ({ read, on: 'both' });
export const atCreate = <T>(read: Reader<T>): Attribute<T> => ({ read, on: 'create' });
export const needed = <T>(read: Reader<T>): Attribute<T> => ({ read, on: 'create', needed: true });

const show = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 100);
const refuse = (name: string, why: string) => invalidInput({ why: `Invalid input for ${name}. Reason: ${why}.` });

export const text =
  (max = 255): Reader<string> =>
  (value, name) => {
    if (typeof value !== 'string') throw refuse(name, `'${show(value)}' is not a valid string`);
    if ([...value].length > max) throw refuse(name, `'${value.slice(0, 40)}...' exceeds maximum length of ${max}`);
    return value;
  };
export const bool: Reader<boolean> = (value, name) => {
  if (typeof value === 'boolean') return value;
  if (value === 1 || value === 0) return value === 1;
  if (typeof value === 'string') {
    const word = value.toLowerCase();
    if (word === 'true' || word === '1') return true;
    if (word === 'false' || word === '0') return false;
  }
  throw refuse(name, `'${show(value)}' cannot be converted to boolean`);
};
export const int =
  (min: number, max: number): Reader<number> =>
  (value, name) => {
    const number = typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number)) throw refuse(name, `'${show(value)}' is not an integer`);
    if (number < min) throw refuse(name, `'${number}' is too small - must be at least '${min}'`);
    if (number > max) throw refuse(name, `'${number}' is too large - must be no larger than '${max}'`);
    return number;
  };
export const orNull =
  <T>(read: Reader<T>): Reader<T | null> =>
  (value, name) =>
    value === null ? null : read(value, name);
export const oneOfWords =
  <W extends string>(...words: readonly W[]): Reader<W> =>
  (value, name) => {
    const found = words.find((word) => word === value);
    if (found === undefined) throw refuse(name, `'${show(value)}' is not in [${words.map((word) => `'${word}'`).join(', ')}]`);
    return found;
  };
export const uuid: Reader<string> = (value, name) => {
  if (!isUuid(value) || value.length !== 36) throw refuse(name, `'${show(value)}' is not a valid UUID`);
  return value.toLowerCase();
};
/** An address in its canonical form. */
export const ip: Reader<string> = (value, name) => {
  const address = typeof value === 'string' && value.length <= 45 ? parseIp(value) : undefined;
  if (!address) throw refuse(name, `'${show(value)}' is not a valid IP address`);
  return formatIp(address.version, address.value);
};
/** A network; bits behind the prefix are cut, a bare address is a network of one. */
export const cidr: Reader<string> = (value, name) => formatCidr(readCidr(value, name).read);
/** The same with its bits behind the prefix kept, as rules show them. */
export const cidrAsGiven: Reader<string> = (value, name) => {
  const { ip, read } = readCidr(value, name);
  return `${formatIp(ip.version, ip.value)}/${read.prefix}`;
};
function readCidr(value: unknown, name: string) {
  const given = typeof value === 'string' && value.length <= 64 ? value : '';
  const alone = parseIp(given);
  const read = parseCidr(alone ? `${given}/${alone.version === 4 ? 32 : 128}` : given);
  const ip = parseIp(given.split('/')[0] ?? '');
  if (!read || !ip) throw refuse(name, `'${show(value)}' is not a valid IP subnet`);
  return { read, ip };
}
const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/;
export const mac: Reader<string> = (value, name) => {
  const given = typeof value === 'string' ? value.toLowerCase().replaceAll('-', ':') : '';
  if (!MAC.test(given) || given === '00:00:00:00:00:00') throw refuse(name, `'${show(value)}' is not a valid MAC address`);
  return given;
};
export const listOf =
  <T>(read: Reader<T>, max = 1000): Reader<T[]> =>
  (value, name) => {
    if (value === null) return [];
    if (!Array.isArray(value)) throw refuse(name, `'${show(value)}' is not a list`);
    if (value.length > max) throw refuse(name, `more than ${max} items`);
    return value.map((item) => read(item, name));
  };
export const unique =
  <T>(read: Reader<T[]>): Reader<T[]> =>
  (value, name) => {
    const items = read(value, name);
    const seen = new Set(items.map((item) => JSON.stringify(item)));
    if (seen.size !== items.length) throw refuse(name, `Duplicate items in the list: ${show(value)}`);
    return items;
  };
/** An object with just these keys. */
export const record =
  <A extends Attributes>(fields: A): Reader<Values<A>> =>
  (value, name) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw refuse(name, `'${show(value)}' is not a dictionary`);
    const read: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (!field) throw refuse(name, `'${key.slice(0, 50)}' is not expected in it`);
      read[key] = field.read(item, `${name}.${key}`);
    }
    for (const [key, field] of Object.entries(fields))
      if (field.needed && read[key] === undefined) throw refuse(name, `'${key}' is missing`);
    return read as Values<A>; // every key was read by its own reader
  };
/** Any JSON object of at most `maxBytes`. */
export const dictionary =
  (maxBytes: number): Reader<Readonly<Record<string, unknown>>> =>
  (value, name) => {
    if (value === null) return {};
    if (typeof value !== 'object' || Array.isArray(value)) throw refuse(name, `'${show(value)}' is not a dictionary`);
    if (Buffer.byteLength(JSON.stringify(value)) > maxBytes) throw refuse(name, `larger than ${maxBytes} bytes`);
    return value as Readonly<Record<string, unknown>>; // an object that is no list
  };
/** A tag: 1 to 60 signs, no comma (tags are sent as comma lists in queries). */
export const tag: Reader<string> = (value, name) => {
  const word = text(60)(value, name);
  if (word === '' || word.includes(',')) throw refuse(name, `'${word}' is empty or holds a comma`);
  return word;
};

/** Takes the object (or objects) out of a body: `{ port: {...} }` or `{ ports: [...] }`. */
export function objectsIn(body: unknown, singular: string, plural: string): { items: Record<string, unknown>[]; bulk: boolean } {
  const outer = body as Record<string, unknown>; // the route's shape promises an object
  const bulk = !Object.hasOwn(outer, singular) && Object.hasOwn(outer, plural);
  const given = bulk ? outer[plural] : outer[singular];
  if (given === undefined) throw invalidInput({ why: `Unable to find '${singular}' in request body` });
  const items = bulk ? given : [given];
  if (!Array.isArray(items) || items.length === 0) throw invalidInput({ why: `'${plural}' must be a list with at least one item` });
  if (items.length > 1000) throw invalidInput({ why: `More than 1000 ${plural} in one request` });
  for (const item of items)
    if (item === null || typeof item !== 'object' || Array.isArray(item)) throw invalidInput({ why: `'${singular}' is not an object` });
  return { items: items as Record<string, unknown>[], bulk };
}

/** Reads one object against its table. Unknown attributes, and at an update those of creation only, are refused by name. */
export function readAttributes<A extends Attributes>(table: A, given: Record<string, unknown>, when: 'create' | 'update'): Values<A> {
  const read: Record<string, unknown> = {};
  const strange: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    const attribute = Object.hasOwn(table, name) ? table[name] : undefined;
    if (!attribute) strange.push(name);
    else if (when === 'update' && attribute.on === 'create') throw invalidInput({ why: `Cannot update read-only attribute ${name}` });
    else read[name] = attribute.read(value, name);
  }
  if (strange.length) throw invalidInput({ why: `Unrecognized attribute(s) '${strange.join(', ').slice(0, 200)}'` });
  if (when === 'create')
    for (const [name, attribute] of Object.entries(table))
      if (attribute.needed && read[name] === undefined)
        throw invalidInput({ why: `Failed to parse request. Required attribute '${name}' not specified` });
  return read as Values<A>; // every key was read by its own reader
}
