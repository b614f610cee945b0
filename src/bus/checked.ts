import { badMessage } from '../model/errors-bus.ts';
import type { AnySchema } from './schema.ts';

/** What is wrong with a value, with the place; null: it fits. */
type Check = (value: unknown, place: string) => string | null;
const ready = new WeakMap<AnySchema, Check>();

/** Holds a message against its contract, at both ends. Throws badMessage. */
export function mustFitContract(schema: AnySchema, value: unknown, receiver: string, message: string): void {
  let check = ready.get(schema);
  if (!check) {
    check = checkOf(schema);
    ready.set(schema, check);
  }
  const why = check(value, '');
  if (why !== null) throw badMessage({ receiver, message, why });
}

/** A check for the keywords that `Type` writes. General validators write and compile a program for each schema: a tenth of a second at every start. */
function checkOf(schema: AnySchema): Check {
  if ('const' in schema) return (value, place) => (value === schema.const ? null : `${place} must be ${JSON.stringify(schema.const)}`);
  if (Array.isArray(schema.enum)) {
    const words = new Set<unknown>(schema.enum);
    return (value, place) => (words.has(value) ? null : `${place} must be one of ${[...words].join(', ')}`);
  }
  if (Array.isArray(schema.anyOf)) {
    const checks = schema.anyOf.map(checkOf);
    return (value, place) => (checks.some((check) => check(value, place) === null) ? null : `${place} fits none of its forms`);
  }
  if (schema.type === undefined) return () => null;
  if (schema.type === 'string') return stringCheck(schema);
  if (schema.type === 'array') return arrayCheck(checkOf(schema.items as AnySchema));
  if (schema.type === 'object')
    return schema.properties ? objectCheck(schema) : recordCheck(checkOf(schema.additionalProperties as AnySchema));
  const is = simple[schema.type as string];
  if (!is) throw new Error(`a contract uses the type ${String(schema.type)}, which has no check`);
  const least = numberOr(schema.minimum, Number.NEGATIVE_INFINITY);
  return (value, place) => {
    if (!is(value)) return `${place} must be ${schema.type}`;
    return typeof value === 'number' && value < least ? `${place} must be at least ${least}` : null;
  };
}

const numberOr = (value: unknown, other: number) => (typeof value === 'number' ? value : other);
const simple: Readonly<Record<string, (value: unknown) => boolean>> = {
  number: (value) => Number.isFinite(value),
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
};

function stringCheck(schema: AnySchema): Check {
  const minLength = numberOr(schema.minLength, 0);
  const maxLength = numberOr(schema.maxLength, Number.POSITIVE_INFINITY);
  return (value, place) => {
    if (typeof value !== 'string') return `${place} must be string`;
    return value.length < minLength || value.length > maxLength ? `${place} must have ${minLength} to ${maxLength} signs` : null;
  };
}

function arrayCheck(item: Check): Check {
  return (value, place) => {
    if (!Array.isArray(value)) return `${place} must be array`;
    for (const [index, one] of value.entries()) {
      const why = item(one, `${place}/${index}`);
      if (why !== null) return why;
    }
    return null;
  };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function recordCheck(item: Check): Check {
  return (value, place) => {
    if (!isObject(value)) return `${place} must be object`;
    for (const [name, one] of Object.entries(value)) {
      const why = item(one, `${place}/${name}`);
      if (why !== null) return why;
    }
    return null;
  };
}

/** Names that the contract does not know are let through: a newer sender may say more. */
function objectCheck(schema: AnySchema): Check {
  const checks = Object.entries(schema.properties as Record<string, AnySchema>).map(([name, part]) => [name, checkOf(part)] as const);
  return (value, place) => {
    if (!isObject(value)) return `${place} must be object`;
    for (const [name, check] of checks) {
      if (!Object.hasOwn(value, name)) return `${place} must have required property '${name}'`;
      const why = check(value[name], `${place}/${name}`);
      if (why !== null) return why;
    }
    return null;
  };
}
