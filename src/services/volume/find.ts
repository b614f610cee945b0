import type { Query } from '../../db/engine.ts';
import {
  type AttachmentRow,
  findAttachment,
  findSnapshot,
  findVolume,
  type SnapshotRow,
  type TypeRow,
  type VolumeRow,
} from '../../db/tables/volume/volumes.ts';
import { type Call, one } from '../../http/call.ts';
import { policyForbids } from '../../model/errors.ts';
import {
  volumeAttachmentNotFound,
  volumeForeignProject,
  volumeInput,
  volumeNotFound,
  volumeSnapshotNotFound,
  volumeTypeNotFound,
} from '../../model/errors-volume.ts';
import type { VolumeParts } from './parts.ts';

export const isAdmin = (call: Call): boolean => call.allows('context_is_admin');

/** Whose matters a call is about: the project in its URL, which only services may name when it is not their token's.
 *  Throws volumeForeignProject (400), policyForbids (403) for a token without a project. */
export function projectOf(call: Call): string {
  const named = call.params.project_id;
  const own = call.caller.projectId;
  if (named !== undefined && named !== own && !call.caller.roles.includes('service')) throw volumeForeignProject({ project: named });
  const project = named ?? own;
  if (project === null) throw policyForbids({ rule: 'project_id' });
  return project;
}

const mayKnow = (call: Call, row: { readonly project_id: string }) => isAdmin(call) || row.project_id === projectOf(call);

/** A volume the caller may know of, after asking the route's rule (or another). Throws volumeNotFound (404), policyForbids (403). */
export async function seenVolume({ db }: VolumeParts, call: Call, more: { id?: string; rule?: string } = {}): Promise<VolumeRow> {
  const id = more.id ?? call.params.id ?? '';
  const row = await findVolume(db.read, id.toLowerCase());
  if (!row || !mayKnow(call, row)) throw volumeNotFound({ id: id.slice(0, 100) });
  call.allow({ project_id: row.project_id }, more.rule);
  return row;
}
export async function seenSnapshot({ db }: VolumeParts, call: Call, more: { id?: string; rule?: string } = {}): Promise<SnapshotRow> {
  const id = more.id ?? call.params.id ?? '';
  const row = await findSnapshot(db.read, id.toLowerCase());
  if (!row || !mayKnow(call, row)) throw volumeSnapshotNotFound({ id: id.slice(0, 100) });
  call.allow({ project_id: row.project_id }, more.rule);
  return row;
}
export async function seenAttachment({ db }: VolumeParts, call: Call): Promise<AttachmentRow> {
  const id = call.params.id ?? '';
  const row = await findAttachment(db.read, id.toLowerCase());
  if (!row || !mayKnow(call, row)) throw volumeAttachmentNotFound({ id: id.slice(0, 100) });
  call.allow({ project_id: row.project_id });
  return row;
}

/** Types the caller may use: public ones and those its project was given; all for admins. */
export async function visibleTypes(db: Query, call: Call): Promise<TypeRow[]> {
  const types = await db.selectFrom('volume_types').selectAll().orderBy('id').execute();
  if (isAdmin(call)) return types;
  const project = projectOf(call);
  const given = await db.selectFrom('volume_type_access').select('type_uuid').where('project_id', '=', project).execute();
  const mine = new Set(given.map((row) => row.type_uuid));
  return types.filter((type) => type.is_public === 1 || mine.has(type.uuid));
}
export async function seenType({ db }: VolumeParts, call: Call, id = call.params.id ?? ''): Promise<TypeRow> {
  const types = await visibleTypes(db.read, call);
  const found = types.find((type) => type.uuid === id.toLowerCase()) ?? types.find((type) => type.name === id);
  if (!found) throw volumeTypeNotFound({ id: id.slice(0, 255) });
  return found;
}
/** What a volume is of when nobody says. */
export const DEFAULT_TYPE = '__DEFAULT__';

export const specsOf = (type: Pick<TypeRow, 'extra_specs'>) => JSON.parse(type.extra_specs) as Record<string, string>; // as written by us
export const wordsOf = (text: string) => JSON.parse(text) as Record<string, string>; // as written by us
export const isMultiattach = (type: Pick<TypeRow, 'extra_specs'>) => /^<is>\s+true$/i.test(specsOf(type).multiattach ?? '');

/** A word that says yes or no. Throws volumeInput (400). */
export function readFlag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  const word = String(value).trim().toLowerCase();
  if (['true', '1', 't', 'y', 'yes', 'on'].includes(word)) return true;
  if (['false', '0', 'f', 'n', 'no', 'off'].includes(word)) return false;
  throw volumeInput({ why: `'${String(value).slice(0, 50)}' is not a boolean for ${name}` });
}
export const flagIn = (call: Call, name: string): boolean => {
  const given = one(call, name);
  return given === undefined ? false : readFlag(name, given);
};
