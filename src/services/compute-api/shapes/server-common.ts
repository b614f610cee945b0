import { atLeast, during, either, type Json, leaf, type Shape, since, type Version } from '../../../lib/shape.ts';

// Parts that the bodies of several server routes share. Patterns are Nova's rules in our own words.

/** Printable text without blanks at its ends; on the legacy API they may be there. */
export const name = leaf<string>({ type: 'string', minLength: 1, maxLength: 255, format: 'name' });
export const str = (more: Json = {}) => leaf<string>({ type: 'string', ...more });
export const uuid = str({ format: 'uuid' });
const TRUE = [true, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes'];
const FALSE = [false, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no'];
/** A truth value in any of the forms clients send. Read it with `isTrue`. */
export const flag = leaf<boolean | string>({ type: ['boolean', 'string'], enum: [...TRUE, ...FALSE] });
export const isTrue = (value: boolean | string | undefined) => value !== undefined && TRUE.includes(value);

const KEY = '^[a-zA-Z0-9_:. -]{1,255}$';
export const metadata = leaf<Record<string, string>>({
  type: 'object',
  patternProperties: { [KEY]: { type: 'string', maxLength: 255 } },
  additionalProperties: false,
});
/** Exactly one item of metadata. */
export const metadataItem = leaf<Record<string, string>>({
  type: 'object',
  patternProperties: { [KEY]: { type: 'string', maxLength: 255 } },
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
});
export const diskConfig = leaf<'AUTO' | 'MANUAL'>({ type: 'string', enum: ['AUTO', 'MANUAL'] });
export const ipv4 = str({ format: 'ipv4' });
export const ipv6 = str({ format: 'ipv6' });
export const ipAddress = str({ oneOf: [{ format: 'ipv4' }, { format: 'ipv6' }] });
/** Free text in several lines, or null. */
export const description = leaf<string | null>({
  type: ['string', 'null'],
  minLength: 0,
  maxLength: 255,
  pattern: '^(?:[^\\p{C}\\p{Zl}\\p{Zp}]|[\\r\\n\\t])*$',
});
export const tag = str({ minLength: 1, maxLength: 60, pattern: '^[^,/]*$' });
const hostLabel = str({ minLength: 2, maxLength: 63, pattern: '^[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]$' });
export const hostName = str({ minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._-]*$' });
/** A server's own name of itself. */
export const hostname = since('2.90', either(during([['2.90', '2.93']], hostLabel), since('2.94', hostName)));
export const trustedCertificates = since(
  '2.63',
  leaf<string[] | null>({
    type: ['array', 'null'],
    minItems: 1,
    maxItems: 50,
    uniqueItems: true,
    items: { type: 'string', minLength: 1 },
  }),
);
export const positive = leaf<number | string>({ type: ['integer', 'string'], minLength: 1, minimum: 1, pattern: '^[0-9]*$' });
/** A value of any type, null included. */
export const anything = leaf<unknown>({});

/** Query of a route that takes no words: older versions ignore what comes, since 2.102 it is refused. */
export const noQuery: Shape<object> = {
  ...leaf<object>({}),
  edges: ['2.102'],
  schema: (version: Version) => ({ type: 'object', ...(atLeast(version, '2.102') ? { properties: {}, additionalProperties: false } : {}) }),
};
