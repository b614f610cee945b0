import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** A vector file: inputs, and what the real Nova answered to them. Everything under Nova's names; see README.md beside this. */
export interface VectorFile {
  readonly format: string;
  readonly kind: string;
  readonly subject: string;
  readonly now: string;
  readonly filter?: { readonly run_filter_once_per_request: boolean; readonly RUN_ON_REBUILD: boolean };
  readonly host_defaults?: Json;
  readonly request_defaults?: Json;
  readonly cases: readonly VectorCase[];
}
// biome-ignore lint/suspicious/noExplicitAny: foreign data of many shapes; the adapters read it field by field
export type Json = Record<string, any>;
export interface VectorCase extends Json {
  readonly id: string;
  readonly expect: Json;
}

/** Reads a file, compressed or not. Null: JSON, but no vectors. Throws when it cannot be read. */
export function readVectors(path: string): VectorFile | null {
  const bytes = readFileSync(path);
  const file = JSON.parse((path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()) as VectorFile; // checked below
  return file?.format === 'schedgold/1' && Array.isArray(file.cases) ? file : null;
}

const special: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};
/** A number, as files write it. */
export const numberOf = (value: unknown): number => (typeof value === 'string' && value in special ? special[value]! : Number(value));
/** The same number; NaN equals NaN, 0 equals -0. */
export const sameNumber = (a: number, b: number) => a === b || (Number.isNaN(a) && Number.isNaN(b));
