import { atLeast, type Json, leaf, type Shape, type Version } from '../../../lib/shape.ts';

const TEXT = { type: 'string' };
const NUMBERS = '[1-9][0-9]*';
const NAMES = '[a-zA-Z0-9_-]{1,64}';
const groups = (words: readonly string[], suffix: string) => Object.fromEntries(words.map((word) => [`^${word}(${suffix})?$`, TEXT]));

/** What the query may hold from each version on; each row adds to those before. */
const rows: readonly (readonly [since: Version, properties: Json, patterns: Json | null])[] = [
  ['1.10', { resources: TEXT }, null],
  ['1.16', { limit: { type: ['integer', 'string'], pattern: '^[1-9][0-9]*$', minimum: 1, minLength: 1 } }, null],
  ['1.17', { required: TEXT }, null],
  ['1.21', { member_of: TEXT }, null],
  ['1.25', { group_policy: { type: 'string', enum: ['none', 'isolate'] } }, groups(['resources', 'required', 'member_of'], NUMBERS)],
  ['1.31', {}, groups(['resources', 'required', 'member_of', 'in_tree'], NUMBERS)],
  ['1.33', {}, groups(['resources', 'required', 'member_of', 'in_tree'], NAMES)],
  ['1.35', { root_required: TEXT }, null],
  ['1.36', { same_subtree: TEXT }, null],
];

/** The query of GET /allocation_candidates: words of groups are patterns from 1.25 on, and their names free from 1.33 on. */
export const candidatesQuery: Shape<Record<string, string>> = {
  ...leaf<Record<string, string>>({}),
  edges: rows.map(([since]) => since),
  schema(version) {
    const live = rows.filter(([since]) => atLeast(version, since));
    const patterns = live.findLast(([, , found]) => found !== null)?.[2];
    const properties = Object.fromEntries(
      live
        .flatMap(([, found]) => Object.entries(found))
        .filter(([word]) => !patterns || !['resources', 'required', 'member_of'].includes(word)),
    );
    return {
      type: 'object',
      properties,
      ...(patterns ? { patternProperties: patterns } : { required: ['resources'] }),
      additionalProperties: false,
    };
  },
};
