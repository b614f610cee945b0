import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkerOf } from './kinds.ts';
import { readVectors } from './vector-file.ts';

export const OWN_DATA = join(import.meta.dirname, 'data');

export interface FileResult {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  /** The first differences, with the case's id. */
  readonly differences: readonly string[];
  /** Why no case of the file could pass: it has no counterpart here. */
  readonly missing: string | null;
}

/** Vector files below a directory, or the file itself, in order. */
export function vectorFiles(path: string): string[] {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.json(\.gz)?$/.test(file) && basename(file) !== 'manifest.json')
    .sort()
    .map((file) => join(path, file));
}

/** Runs every case of a file against this project's own parts. A file without a counterpart fails as a whole: nothing is skipped silently.
 *  Null: the file holds no vectors. */
export function runFile(path: string): FileResult | null {
  const name = basename(path).replace(/\.json(\.gz)?$/, '');
  const file = readVectors(path);
  if (!file) return null;
  const check = checkerOf(file);
  if (typeof check === 'string') return { name, passed: 0, failed: file.cases.length, differences: [], missing: check };
  const differences: string[] = [];
  for (const one of file.cases) {
    let difference: string | null;
    try {
      difference = check(one);
    } catch (cause) {
      difference = String(cause);
    }
    if (difference !== null) differences.push(`${one.id}: ${difference}`);
  }
  return { name, passed: file.cases.length - differences.length, failed: differences.length, differences, missing: null };
}
