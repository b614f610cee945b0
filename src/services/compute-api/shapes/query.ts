import { atLeast, body, type Infer, type Json, leaf, list, type Shape, type Version } from '../../../lib/shape.ts';

type Words = Record<string, Shape<string[] | undefined>>;

/** A query: each word a list of texts. Unknown words are let through before `strictFrom` and refused from it on. */
export function query<W extends Words>(words: W, strictFrom: Version): Shape<{ [K in keyof W]?: Infer<W[K]> }> {
  const open = body(words, { additionalProperties: true });
  const closed = body(words);
  return {
    ...leaf<{ [K in keyof W]?: Infer<W[K]> }>({}),
    edges: [...closed.edges, strictFrom],
    schema: (version) => (atLeast(version, strictFrom) ? closed : open).schema(version),
  };
}

/** Values of a query word. They are always text; JSON's other types cannot come by this way. */
export const texts = (more: Json = {}): Shape<string[]> => list(leaf<string>({ type: 'string', ...more }));
/** At most one value. */
export const single = (more: Json = {}): Shape<string[]> => list(leaf<string>({ type: 'string', ...more }), { maxItems: 1 });
/** A whole number of zero or more, as Nova's `limit` takes it. */
export const WHOLE = { minLength: 1, maxLength: 9, pattern: '^[0-9]+$' } as const;
/** What oslo's strict boolean reads. */
export const BOOLEAN_WORDS = {
  enum: [
    ...['True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes'],
    ...['False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no'],
  ],
} as const;
/** Whether one of oslo's words for a boolean, or a JSON boolean, means yes. */
export const isYes = (value: unknown): boolean => value === true || (typeof value === 'string' && /^(true|1|on|yes)$/i.test(value));

/** A query without any words. */
export const noWords = (strictFrom: Version = '2.102') => query({}, strictFrom);
