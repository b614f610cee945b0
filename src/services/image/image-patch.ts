import { type CloudError, invalidInput } from '../../model/errors.ts';
import {
  imageMediaType,
  imageNotRemovable,
  imagePropertyMissing,
  imagePropertyPresent,
  imageQueuedOnly,
  imageReserved,
} from '../../model/errors-image.ts';
import type { Image } from '../../model/image.ts';
import { BASE_PROPERTIES, mustBeWithinLimits, mustBeWritable, setField } from './image-fields.ts';

export const PATCH_TYPES = ['application/openstack-images-v2.1-json-patch', 'application/openstack-images-v2.0-json-patch'] as const;

export interface PatchStep {
  readonly op: 'add' | 'replace' | 'remove';
  readonly name: string;
  readonly value: unknown;
  /** The older form refuses to add what is there. */
  readonly strict: boolean;
}

/** Reads a patch body. Throws 415 for another media type, 400 for a body that is no list of steps. */
export function readPatch(contentType: string | undefined, body: unknown): PatchStep[] {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? 'nothing';
  const old = type === PATCH_TYPES[1] || type === 'application/openstack-images-v2-json-patch';
  if (!old && type !== PATCH_TYPES[0]) throw imageMediaType({ got: type.slice(0, 100), want: PATCH_TYPES.join(' or ') });
  if (!Array.isArray(body)) throw bad('Request body must be a JSON array of operation objects.');
  if (body.length > 1000) throw bad('A patch has at most 1000 operations.');
  return body.map((item: unknown) => {
    if (item === null || typeof item !== 'object' || Array.isArray(item)) throw bad('Operations must be JSON objects.');
    const step = item as Record<string, unknown>; // an object, as just seen
    return old ? readOld(step) : readNew(step);
  });
}

function readNew(step: Record<string, unknown>): PatchStep {
  const { op, path, value } = step;
  if (typeof op !== 'string') throw bad('Unable to find "op" in JSON Schema change');
  if (!isOp(op)) throw bad(`Invalid operation: \`${op.slice(0, 50)}\`. It must be one of the following: add, remove, replace.`);
  if (typeof path !== 'string') throw bad('Unable to find "path" in JSON Schema change');
  if (op !== 'remove' && !Object.hasOwn(step, 'value')) throw bad(`Operation "${op}" requires a member named "value".`);
  return { op, name: readPointer(path), value, strict: false };
}

function readOld(step: Record<string, unknown>): PatchStep {
  const ops = Object.keys(step).filter(isOp);
  const op = ops[0];
  if (op === undefined || ops.length > 1)
    throw bad('Operation objects must contain exactly one member named "add", "remove", or "replace".');
  const path = step[op];
  if (typeof path !== 'string') throw bad(`The pointer of "${op}" must be a text.`);
  if (op !== 'remove' && !Object.hasOwn(step, 'value')) throw bad(`Operation "${op}" requires a member named "value".`);
  return { op, name: readPointer(path), value: step.value, strict: true };
}

/** One level of a JSON pointer.  Spec: RFC 6901. */
function readPointer(pointer: string): string {
  const shown = pointer.slice(0, 100);
  if (!pointer.startsWith('/')) throw bad(`Pointer \`${shown}\` does not start with "/".`);
  const name = pointer.slice(1);
  if (name.trim() === '') throw bad(`Pointer \`${shown}\` does not name a property.`);
  if (name.endsWith('/')) throw bad(`Pointer \`${shown}\` end with "/".`);
  if (/\/\/|~(?![01])/.test(name)) throw bad(`Pointer \`${shown}\` contains "~" not part of a recognized escape sequence.`);
  const parts = name.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (parts[0] === 'locations') throw imageReserved({ name: 'locations' });
  if (parts.length > 1) throw bad(`Invalid JSON pointer for this resource: '/${shown.slice(1)}'`);
  return parts[0] as string; // split answers at least one
}

/** The image after the patch. Pure; throws 400, 403 or 409 and then nothing was changed. */
export function applyPatch(image: Image, steps: readonly PatchStep[]): Image {
  const draft = { ...image };
  for (const { op, name, value, strict } of steps) {
    mustBeWritable(name);
    const base = BASE_PROPERTIES.has(name);
    const there = base || Object.hasOwn(draft.properties, name);
    if (op === 'remove') {
      if (base) throw imageNotRemovable({ name });
      if (!there) throw imagePropertyMissing({ name });
      draft.properties = Object.fromEntries(Object.entries(draft.properties).filter(([other]) => other !== name));
      continue;
    }
    if (op === 'replace' && !there) throw imagePropertyMissing({ name });
    if (op === 'add' && strict && there) throw imagePropertyPresent({ name });
    if ((name === 'disk_format' || name === 'container_format') && image.status !== 'queued') throw imageQueuedOnly({ name });
    setField(draft, name, value);
  }
  mustBeWithinLimits(draft);
  return draft;
}

const isOp = (word: string): word is PatchStep['op'] => word === 'add' || word === 'replace' || word === 'remove';
const bad = (why: string): CloudError => invalidInput({ why });
