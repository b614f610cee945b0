import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Where the conformance catalogue lies beside the checkout, if it does. */
const folder = ['../shared/compute-api', '../../shared/compute-api'].map((path) => resolve(path)).find((path) => existsSync(path));
/** The same, for programs that take a folder. */
export const catalogueFolder = folder ?? '';
/** What a test that needs it says when it is absent; false when it is there. */
export const noCatalogue: string | false = folder ? false : 'needs catalogue: ../shared/compute-api is not beside this checkout';
if (noCatalogue && (process.env.MUST_RUN ?? '').split(',').includes('catalogue'))
  throw new Error(`MUST_RUN=catalogue, but this test ${noCatalogue}`);

export interface Range {
  readonly min: string;
  readonly max: string | null;
  readonly fields: Readonly<Record<string, string>>;
}
export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly minMicroversion: string | null;
  readonly maxMicroversion: string | null;
  readonly pathScope?: string;
  readonly action: string | null;
  readonly removed?: { readonly status: number };
  readonly responseSamples: readonly { readonly file: string; readonly microversion: string; readonly variant?: string }[];
  readonly requestSamples: readonly { readonly file: string; readonly microversion: string }[];
}
const read = (name: string): unknown => (folder ? JSON.parse(readFileSync(join(folder, name), 'utf8')) : undefined);

export const operations = () => (read('operations.json') ?? []) as readonly Operation[];
export const fieldFacts = () => (read('fields.json') ?? {}) as Readonly<Record<string, Readonly<Record<string, readonly Range[]>>>>;
export const sample = (file: string) => read(join('samples', file));

/** A sample of a notification, with what it refers to put in; undefined where there is none of that name. */
export function notificationSample(name: string): unknown {
  const file = `notification_samples/${name}`;
  if (!folder || !existsSync(join(folder, file))) return undefined;
  return resolved(read(file));
}
function resolved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolved);
  if (value === null || typeof value !== 'object') return value;
  const { $ref: ref, ...own } = value as { $ref?: string };
  const base =
    ref === undefined
      ? {}
      : resolved(read(`notification_samples/common_payloads/${ref.replace('common_payloads/', '').replace(/#$/, '')}`));
  return merged(base, Object.fromEntries(Object.entries(own).map(([key, item]) => [key, resolved(item)])));
}
const merged = (base: unknown, over: unknown): unknown => {
  const isMap = (one: unknown): one is Record<string, unknown> => one !== null && typeof one === 'object' && !Array.isArray(one);
  if (!isMap(base) || !isMap(over)) return over;
  return Object.fromEntries(
    [...new Set([...Object.keys(base), ...Object.keys(over)])].map((key) => [key, key in over ? merged(base[key], over[key]) : base[key]]),
  );
};

interface Difference {
  readonly pointer: string;
  readonly kind: string;
}
interface ShapeCheck {
  compareShape(sample: unknown, actual: unknown, options: object): Difference[];
  rulesFromFields(fields: unknown, operation: string, version: string, part: string): object;
}
/** The catalogue's own comparer. */
export const shapeCheck = async (): Promise<ShapeCheck> => (await import(join(folder ?? '', 'check/shape-check.mjs'))) as ShapeCheck;

const minor = (version: string) => Number(version.split('.')[1]);
export const rangeAt = (ranges: readonly Range[] | undefined, version: string) =>
  ranges?.find((range) => minor(version) >= minor(range.min) && (range.max === null || minor(version) <= minor(range.max)));

/** What is wrong with a body against the facts of its range: keys missing, unknown or of another type. */
export function againstFields(facts: Readonly<Record<string, string>>, body: unknown): string[] {
  const wrong: string[] = [];
  const children = new Map<string, string[]>();
  for (const pointer of Object.keys(facts)) {
    if (pointer === '') continue;
    const parent = pointer.slice(0, pointer.lastIndexOf('/'));
    children.set(parent, [...(children.get(parent) ?? []), pointer]);
  }
  const walk = (pointer: string, value: unknown, where: string) => {
    const fact = facts[pointer];
    if (fact === undefined) return;
    const types = (fact.split(' ')[0] ?? '').replace('!', '').split('|');
    const type = value === null ? 'null' : Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value;
    if (!types.includes('any') && !types.includes(type) && !(type === 'integer' && types.includes('number'))) {
      wrong.push(`${where} is ${type}, not ${types.join(' or ')}`);
      return;
    }
    const below = children.get(pointer) ?? [];
    if (Array.isArray(value)) {
      if (below.includes(`${pointer}/[]`)) for (const [at, item] of value.entries()) walk(`${pointer}/[]`, item, `${where}/${at}`);
    } else if (value !== null && typeof value === 'object') {
      for (const [key, item] of Object.entries(value)) {
        const own = `${pointer}/${key}`;
        const any = `${pointer}/{*}`;
        if (own in facts) walk(own, item, `${where}/${key}`);
        else if (any in facts) walk(any, item, `${where}/${key}`);
        else if (/ closed( |$)/.test(fact)) wrong.push(`${where}/${key} is not expected`);
      }
      for (const child of below) {
        const key = child.slice(pointer.length + 1);
        if ((facts[child]?.split(' ')[0] ?? '').endsWith('!') && key !== '[]' && key !== '{*}' && !(key in value))
          wrong.push(`${where}/${key} is missing`);
      }
    }
  };
  walk('', body, '');
  return wrong;
}
