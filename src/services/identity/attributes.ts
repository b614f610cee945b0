import { type Json, leaf, type Shape } from '../../lib/shape.ts';
import { invalidInput } from '../../model/errors.ts';
import { immutableResource } from '../../model/errors-identity.ts';

/** A body `{ "<word>": { ... } }` with these fields checked and others let through: Keystone keeps attributes it does not know. */
export const wrapped = <T>(word: string, properties: Json, required: readonly string[] = []): Shape<T> =>
  leaf<T>({
    type: 'object',
    properties: { [word]: { type: 'object', properties, ...(required.length ? { required: [...required] } : {}), maxProperties: 200 } },
    required: [word],
  });

export const nameSchema = (maxLength = 255): Json => ({ type: 'string', minLength: 1, maxLength, pattern: '\\S' });
export const idSchema: Json = { type: 'string', minLength: 1, maxLength: 64 };
export const idOrNullSchema: Json = { ...idSchema, type: ['string', 'null'] };
export const textSchema: Json = { type: ['string', 'null'], maxLength: 65_535 };
export const regionIdSchema: Json = { type: ['string', 'null'], maxLength: 255 };
export const enabledSchema: Json = { type: 'boolean' };
export const optionsSchema: Json = { type: 'object', properties: { immutable: { type: ['boolean', 'null'] } }, maxProperties: 50 };
export const tagSchema: Json = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[^,/]*$' };
export const tagsSchema: Json = { type: 'array', items: tagSchema, maxItems: 80, uniqueItems: true };

const NEVER_EXTRA = new Set(['id', 'links', 'key', '__proto__', 'constructor', 'prototype']);
const MAX_DEPTH = 20;

/** The attributes of a body that are not in `known`, as JSON to be kept; with the ones kept before underneath. Throws invalidInput for what is nested too deep. */
export function extraOf(given: object, known: readonly string[], before = '{}'): string {
  const extra = JSON.parse(before) as Record<string, unknown>; // written by this function
  for (const [key, value] of Object.entries(given)) {
    if (known.includes(key) || NEVER_EXTRA.has(key)) continue;
    mustBeShallow(value, MAX_DEPTH);
    extra[key] = value;
  }
  const text = JSON.stringify(extra);
  if (text.length > 65_535) throw invalidInput({ why: 'The attributes beyond the known ones are larger than 64 KiB together.' });
  return text;
}

/** Options as kept: those given over those before; null removes one. */
export function optionsOf(given: Readonly<Record<string, unknown>> | undefined, before = '{}'): string {
  const options = { ...(JSON.parse(before) as object), ...given }; // written by this function
  mustBeShallow(options, MAX_DEPTH);
  return JSON.stringify(Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null)));
}

function mustBeShallow(value: unknown, left: number): void {
  if (left === 0) throw invalidInput({ why: `The body is nested deeper than ${MAX_DEPTH} levels.` });
  if (value !== null && typeof value === 'object') for (const item of Object.values(value)) mustBeShallow(item, left - 1);
}

/** Refuses to touch a resource with the option "immutable", unless the change does nothing but lift it. Throws immutableResource. */
export function mustBeMutable(
  what: string,
  row: { id: string; options: string },
  change?: { options?: Readonly<Record<string, unknown>> | undefined },
) {
  if ((JSON.parse(row.options) as { immutable?: boolean }).immutable !== true) return; // written by optionsOf
  const lifts = change?.options && 'immutable' in change.options && !change.options.immutable && Object.keys(change).length === 1;
  if (!lifts) throw immutableResource({ what, id: row.id });
}

/** 1 or 0 as a row keeps it: what a body says, else what was before, else yes. */
export const enabledOf = (wish: { readonly enabled?: boolean | undefined }, before?: { readonly enabled: number }): number =>
  wish.enabled === undefined ? (before?.enabled ?? 1) : Number(wish.enabled);
/** What a body says, else what was before; nothing is ''. */
export const descriptionOf = (
  wish: { readonly description?: string | null | undefined },
  before?: { readonly description: string | null },
): string => (wish.description === undefined ? before?.description : wish.description) ?? '';

/** The kept attributes and options as an answer has them. */
export const kept = (row: { options: string; extra: string }) => ({
  extra: JSON.parse(row.extra) as Record<string, unknown>,
  options: JSON.parse(row.options) as Record<string, unknown>,
});
