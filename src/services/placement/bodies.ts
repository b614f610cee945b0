import { Ajv, type ValidateFunction } from 'ajv';
import secureJson from 'secure-json-parse';
import type { Call, Reply } from '../../http/call.ts';
import { isUuid } from '../../lib/ids.ts';
import { edgeBelow, type Shape, type Version } from '../../lib/shape.ts';
import { contentTypeRequired, mediaTypeNotSupported, onlyJsonIsProvided, placementBadRequest } from '../../model/errors-placement.ts';
import { liking } from './accept.ts';
import { wordErrors } from './json-words.ts';
import type { PlacementParts } from './parts.ts';

const ajv = new Ajv({
  allErrors: true,
  strict: false,
  verbose: true,
  validateSchema: false,
  formats: { uuid: (text: string) => isUuid(text) },
});
// biome-ignore lint/suspicious/noExplicitAny: shapes of any body
const compiled = new WeakMap<Shape<any>, Map<Version, ValidateFunction>>();

function validator<T>(shape: Shape<T>, version: Version): ValidateFunction {
  const edge = edgeBelow(shape, version);
  const kept = compiled.get(shape) ?? new Map<Version, ValidateFunction>();
  compiled.set(shape, kept);
  const ready = kept.get(edge) ?? ajv.compile(shape.schema(version));
  kept.set(edge, ready);
  return ready;
}

const NUL = /\0/;
/** What no column takes: a NUL, half of a surrogate pair. And what is nested too deeply breaks whoever walks it. */
function isText(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return !NUL.test(value) && value.isWellFormed();
  if (value === null || typeof value !== 'object') return true;
  if (depth > 100) return false;
  return Object.entries(value).every(([key, item]) => isText(key, depth + 1) && isText(item, depth + 1));
}

/** The body as its shape at the call's version has it. Throws 400 with the sentences this API's clients know. */
export function readJson<T>(call: Call<Buffer>, shape: Shape<T>): T {
  let value: unknown;
  try {
    value = secureJson.parse(new TextDecoder('utf-8', { fatal: true }).decode(call.body), null, {
      protoAction: 'error',
      constructorAction: 'ignore',
    });
  } catch (cause) {
    throw placementBadRequest({ why: `Malformed JSON: ${cause instanceof Error ? cause.message : String(cause)}` });
  }
  if (!isText(value))
    throw placementBadRequest({ why: 'Malformed JSON: a text holds a NUL or half of a surrogate pair, or it is nested too deeply' });
  return mustBe(value, shape, call.version, 'JSON does not validate');
}

/** Throws 400 unless the value has the shape. */
export function mustBe<T>(value: unknown, shape: Shape<T>, version: Version, prefix: string): T {
  const validate = validator(shape, version);
  if (validate(value)) return value as T; // the shape is the type
  throw placementBadRequest({ why: `${prefix}: ${wordErrors(validate.errors ?? [])}` });
}

/** The query's words with their last values, as the shape at the call's version has them. */
export function readQuery<T>(call: Call, shape: Shape<T>): T {
  const words = Object.fromEntries(Object.entries(call.query).map(([word, values]) => [word, values.at(-1)]));
  return mustBe(words, shape, call.version, 'Invalid query string parameters');
}

type Run<B> = (parts: PlacementParts, call: Call<B>) => Promise<Reply> | Reply;

/** Any body must say what it is. */
function mustBeDeclared(call: Call) {
  if (Number(call.headers['content-length'] ?? 0) > 0 && !call.headers['content-type']) throw contentTypeRequired({});
}
/** For handlers that answer JSON to whoever takes it. */
export const answering =
  (run: Run<unknown>): Run<unknown> =>
  (parts, call) => {
    mustBeDeclared(call);
    if (liking(call.headers.accept, 'application/json') === 0) throw onlyJsonIsProvided({});
    return run(parts, call);
  };
/** For handlers that take JSON. */
export const taking =
  (run: Run<Buffer>): Run<Buffer> =>
  (parts, call) => {
    mustBeDeclared(call);
    const type = call.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
    if (type !== 'application/json') throw mediaTypeNotSupported({ type: type?.slice(0, 100) || 'None' });
    return run(parts, call);
  };
/** For handlers that do neither. */
export const plain =
  (run: Run<unknown>): Run<unknown> =>
  (parts, call) => {
    mustBeDeclared(call);
    return run(parts, call);
  };
