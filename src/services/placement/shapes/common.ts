import { type Json, leaf, type Shape } from '../../../lib/shape.ts';

export const MAX_INT = 2_147_483_647;
const MAX_FLOAT = 3.40282e38;
export const CLASS = '^[A-Z0-9_]+$';
export const CUSTOM = '^CUSTOM_[A-Z0-9_]+$';
export const UUID_KEY = '^[0-9a-fA-F-]{36}$';

export const text = leaf<string>({ type: 'string' });
export const uuid = leaf<string>({ type: 'string', format: 'uuid' });
export const uuidOrNull = leaf<string | null>({ anyOf: [{ type: 'string', format: 'uuid' }, { type: 'null' }] });
export const integer = leaf<number>({ type: 'integer' });
export const integerOrNull = leaf<number | null>({ type: ['integer', 'null'] });
export const upTo = (minimum: number, maximum = MAX_INT) => leaf<number>({ type: 'integer', maximum, minimum });
export const ratio = leaf<number>({ type: 'number', maximum: MAX_FLOAT });
export const longName = leaf<string>({ type: 'string', minLength: 1, maxLength: 255 });

/** An object whose keys have a form and whose values a shape. */
export const mapOf = <T>(key: string, item: Shape<T>, more: Json = {}): Shape<Record<string, T>> => ({
  ...leaf<Record<string, T>>({}),
  edges: item.edges,
  schema: (version) => ({ type: 'object', patternProperties: { [key]: item.schema(version) }, additionalProperties: false, ...more }),
});
