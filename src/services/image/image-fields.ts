import { isUuid } from '../../lib/ids.ts';
import { type CloudError, invalidInput } from '../../model/errors.ts';
import { imageLimit, imageReadOnly, imageReserved } from '../../model/errors-image.ts';
import { CONTAINER_FORMATS, DISK_FORMATS, type Image, VISIBILITIES } from '../../model/image.ts';

/** What a user may set of an image, by the API's names; each entry checks one value and puts it in. */
type Draft = { -readonly [K in keyof Image]: Image[K] };

export const MAX_PROPERTIES = 128;
export const MAX_TAGS = 128;
export const MAX_MEMBERS = 128;
const MAX_INT = 2_147_483_647;
const MAX_VALUE = 65_535;

const READ_ONLY = new Set([
  'created_at',
  'updated_at',
  'status',
  'checksum',
  'size',
  'virtual_size',
  'direct_url',
  'self',
  'file',
  'schema',
  'id',
  'os_hash_algo',
  'os_hash_value',
  'stores',
]);
const RESERVED = new Set(['location', 'locations', 'deleted', 'deleted_at', 'validation_data']);
export const BASE_PROPERTIES: ReadonlySet<string> = new Set([
  ...READ_ONLY,
  'name',
  'disk_format',
  'container_format',
  'visibility',
  'protected',
  'os_hidden',
  'min_ram',
  'min_disk',
  'owner',
  'tags',
]);

/** Throws imageReadOnly or imageReserved (403) for names users may not write. */
export function mustBeWritable(name: string): void {
  if (READ_ONLY.has(name)) throw imageReadOnly({ name });
  if (RESERVED.has(name) || name.startsWith('os_glance_')) throw imageReserved({ name });
}

/** Sets one field or custom property. Throws 400 for a value that does not fit, 403 for a name that is not the user's to write. */
export function setField(draft: Draft, name: string, value: unknown): void {
  mustBeWritable(name);
  switch (name) {
    case 'name':
      draft.name = textOrNull(name, value);
      return;
    case 'owner':
      draft.owner = textOrNull(name, value);
      return;
    case 'disk_format':
      draft.diskFormat = value === null ? null : choice(name, value, DISK_FORMATS);
      return;
    case 'container_format':
      draft.containerFormat = value === null ? null : choice(name, value, CONTAINER_FORMATS);
      return;
    case 'visibility':
      draft.visibility = choice(name, value, VISIBILITIES);
      return;
    case 'protected':
      draft.protected = flag(name, value);
      return;
    case 'os_hidden':
      draft.hidden = flag(name, value);
      return;
    case 'min_ram':
      draft.minMemoryMiB = amount(name, value);
      return;
    case 'min_disk':
      draft.minDiskGiB = amount(name, value);
      return;
    case 'tags':
      draft.tags = tagList(value);
      return;
    default:
      draft.properties = { ...draft.properties, ...property(name, value) };
  }
}

/** Throws imageLimit (413) when there are more properties or tags than an image may have. */
export function mustBeWithinLimits(image: Image): void {
  const properties = Object.keys(image.properties).length;
  if (properties > MAX_PROPERTIES) throw imageLimit({ what: 'properties', limit: MAX_PROPERTIES, attempted: properties });
  if (image.tags.length > MAX_TAGS) throw imageLimit({ what: 'tags', limit: MAX_TAGS, attempted: image.tags.length });
}

export function mustBeTag(tag: unknown): string {
  if (typeof tag !== 'string' || tag === '' || [...tag].length > 255) throw wrong('tags', tag, 'a tag is a text of 1 to 255 characters');
  return tag;
}

/** Throws 400 unless it is a uuid with dashes; answers it in lower case. */
export function mustBeImageId(value: unknown): string {
  if (!isUuid(value) || value.length !== 36) throw wrong('id', value, 'it is not a uuid');
  return value.toLowerCase();
}

function property(name: string, value: unknown): Record<string, string> {
  if (name === '' || [...name].length > 255) throw wrong(name, value, 'the name of a property has 1 to 255 characters');
  if (typeof value !== 'string') throw wrong(name, value, 'the value of a property is a text');
  if (Buffer.byteLength(value) > MAX_VALUE) throw wrong(name, value, `the value of a property has at most ${MAX_VALUE} bytes`);
  return Object.fromEntries([[name, value]]); // also right for __proto__
}

function tagList(value: unknown): string[] {
  if (!Array.isArray(value)) throw wrong('tags', value, 'it is not a list');
  return [...new Set(value.map(mustBeTag))].sort();
}

function textOrNull(name: string, value: unknown): string | null {
  if (value === null) return null;
  if (typeof value !== 'string' || [...value].length > 255) throw wrong(name, value, 'it is not a text of at most 255 characters');
  return value;
}

function flag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrong(name, value, 'it is not true or false');
  return value;
}

function amount(name: string, value: unknown): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > MAX_INT)
    throw wrong(name, value, `it is not a whole number from 0 to ${MAX_INT}`);
  return value as number; // just seen to be one
}

function choice<T extends string>(name: string, value: unknown, among: readonly T[]): T {
  const found = among.find((word) => word === value);
  if (found === undefined) throw wrong(name, value, `it is not one of ${among.join(', ')}`);
  return found;
}

function wrong(name: string, value: unknown, why: string): CloudError {
  const shown = JSON.stringify(value) ?? 'nothing';
  return invalidInput({
    why: `Provided object does not match schema 'image': ${name.slice(0, 100)}: ${shown.length > 200 ? `${shown.slice(0, 200)}...` : shown}: ${why}`,
  });
}
