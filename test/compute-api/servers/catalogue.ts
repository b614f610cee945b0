import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { atLeast, type Version } from '../../../src/lib/shape.ts';

// The conformance catalogue stands beside the checkout when it is there at all; tests that need it skip without it.
const root = join(import.meta.dirname, '..', '..', '..');
const home = [join(root, '..', 'shared', 'compute-api'), join(root, '..', '..', 'shared', 'compute-api')].find((dir) => existsSync(dir));

export interface Range {
  readonly min: Version;
  readonly max: Version | null;
  readonly fields: Readonly<Record<string, string>>;
}
export type Fields = Readonly<Record<string, Readonly<Partial<Record<'request' | 'query' | 'response', readonly Range[]>>>>>;

export const rangeAt = (ranges: readonly Range[], version: Version): Readonly<Record<string, string>> | undefined =>
  ranges.find((range) => atLeast(version, range.min) && (range.max === null || atLeast(range.max, version)))?.fields;

export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly action: string | null;
  readonly policies: readonly { readonly rule: string }[];
  readonly responseSamples: readonly { readonly file: string; readonly microversion: string }[];
}
interface Difference {
  readonly pointer: string;
  readonly kind: string;
}
interface ShapeCheck {
  compareShape(sample: unknown, actual: unknown, options: object): Difference[];
  rulesFromFields(fields: Fields, operation: string, version: string, part?: string): object;
  formatDiffs(differences: readonly Difference[]): string;
}

export const catalogue = {
  home,
  fields: async (): Promise<Fields | undefined> =>
    home === undefined ? undefined : (JSON.parse(await readFile(join(home, 'fields.json'), 'utf8')) as Fields),
  sample: async (path: string): Promise<unknown> => JSON.parse(await readFile(join(home ?? '', 'samples', path), 'utf8')),
  states: async (): Promise<unknown> => JSON.parse(await readFile(join(home ?? '', 'states.json'), 'utf8')),
  operations: async (): Promise<readonly Operation[]> => {
    const parsed = JSON.parse(await readFile(join(home ?? '', 'operations.json'), 'utf8')) as Operation[] | Record<string, Operation>;
    return Array.isArray(parsed) ? parsed : Object.values(parsed);
  },
  shapeCheck: async (): Promise<ShapeCheck> => (await import(join(home ?? '', 'check', 'shape-check.mjs'))) as ShapeCheck,
};
