import type { ErrorObject } from 'ajv';

/** A value as clients of this API are used to see it in sentences: 'text', None, True, [1, 2], {'a': 1}. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') return value.includes("'") && !value.includes('"') ? `"${value}"` : `'${value.replaceAll("'", "\\'")}'`;
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([key, item]) => `${shown(key)}: ${shown(item)}`)
      .join(', ')}}`;
  return String(value);
}
const brief = (value: unknown) => {
  const text = shown(value);
  return text.length > 1000 ? `${text.slice(0, 1000)}...` : text;
};

const extras = (names: readonly string[]) => `${names.map(shown).join(', ')} ${names.length === 1 ? 'was' : 'were'} unexpected`;

function what(error: ErrorObject, all: readonly ErrorObject[]): string {
  const value = brief(error.data);
  const limit = error.params.limit as number | undefined; // ajv's own, for the keywords that have one
  switch (error.keyword) {
    case 'required':
      return `${shown(error.params.missingProperty)} is a required property`;
    case 'additionalProperties': {
      const names = all
        .filter((other) => other.keyword === 'additionalProperties' && other.instancePath === error.instancePath)
        .map((other) => String(other.params.additionalProperty).slice(0, 300))
        .sort();
      const patterns = Object.keys((error.parentSchema as { patternProperties?: object }).patternProperties ?? {}).sort();
      if (patterns.length === 0) return `Additional properties are not allowed (${extras(names)})`;
      return `${names.map(shown).join(', ')} ${names.length === 1 ? 'does' : 'do'} not match any of the regexes: ${patterns.map(shown).join(', ')}`;
    }
    case 'type': {
      const types = [error.params.type].flat() as string[];
      return `${value} is not of type ${types.map(shown).join(', ')}`;
    }
    case 'minimum':
      return `${value} is less than the minimum of ${limit}`;
    case 'maximum':
      return `${value} is greater than the maximum of ${limit}`;
    case 'pattern':
      return `${value} does not match ${shown(error.params.pattern)}`;
    case 'format':
      return `${value} is not a ${shown(error.params.format)}`;
    case 'enum':
      return `${value} is not one of ${shown(error.params.allowedValues)}`;
    case 'uniqueItems':
      return `${value} has non-unique elements`;
    case 'minProperties':
      return `${value} does not have enough properties`;
    case 'minItems':
    case 'minLength':
      return limit === 1 ? `${value} should be non-empty` : `${value} is too short`;
    case 'maxLength':
      return `${value} is too long`;
    default:
      return `${value} is not valid`;
  }
}

const place = (path: string) =>
  path
    .split('/')
    .slice(1)
    .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `[${shown(part)}]`))
    .join('');

/** One sentence for the shallowest thing that is wrong, and where in schema and value it is. */
export function wordErrors(errors: readonly ErrorObject[]): string {
  const depth = (error: ErrorObject) => error.instancePath.split('/').length;
  const candidates = errors.filter((error) => error.keyword !== 'anyOf');
  const [first] = [...candidates].sort((a, b) => depth(a) - depth(b));
  if (!first) return 'it is not valid';
  const parts = first.schemaPath.replace(/^#/, '').split('/');
  const keyword = parts.at(-1) ?? first.keyword;
  const schema = `schema${place(parts.slice(0, -1).join('/'))}`;
  const inner = JSON.stringify(first.parentSchema).slice(0, 2000);
  return `${what(first, candidates)}\n\nFailed validating '${keyword}' in ${schema}:\n    ${inner}\n\nOn instance${place(first.instancePath)}:\n    ${brief(first.data)}`;
}
