import { sql } from 'kysely';
import { insertIgnore } from '../../db/statements.ts';
import type { TypeRow } from '../../db/tables/volume/volumes.ts';
import { isUniqueViolation } from '../../db/unique.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import {
  volumeTypeAccessExists,
  volumeTypeAccessNotFound,
  volumeTypeInUse,
  volumeTypeNotFound,
  volumeTypeSpecNotFound,
  volumeTypeTaken,
} from '../../model/errors-volume.ts';
import { DEFAULT_TYPE, isAdmin, readFlag, seenType, specsOf, visibleTypes } from './find.ts';
import type { VolumeParts } from './parts.ts';
import type { TypeWish, Words } from './shapes.ts';
import { typeView } from './views.ts';

/** Types the caller may use; `is_public` (False, None: all) is for admins.  Spec: block storage api-ref "List all volume types". */
export async function listTypes({ db }: VolumeParts, call: Call): Promise<Reply> {
  const types = await visibleTypes(db.read, call);
  const asked = one(call, 'is_public')?.toLowerCase();
  const wanted = !isAdmin(call) || asked === 'none' ? undefined : asked === undefined ? 1 : readFlag('is_public', asked) ? 1 : 0;
  const shown = types.filter((type) => wanted === undefined || type.is_public === wanted);
  return { status: 200, body: { volume_types: shown.map((type) => typeView(call, type)) } };
}

/** `default` is what a volume is of when nobody says. */
export async function showType(parts: VolumeParts, call: Call): Promise<Reply> {
  const type = await seenType(parts, call, call.params.id === 'default' ? DEFAULT_TYPE : call.params.id);
  return { status: 200, body: { volume_type: typeView(call, type) } };
}

export async function createType(parts: VolumeParts, call: Call<{ volume_type: TypeWish }>): Promise<Reply> {
  const { db, clock } = parts;
  const wish = call.body.volume_type;
  const name = wish.name?.trim();
  if (!name) throw invalidInput({ why: 'Volume type name can not be empty.' });
  const open = wish['os-volume-type-access:is_public'] ?? wish.is_public ?? true;
  const row = {
    uuid: newUuid(),
    name,
    description: wish.description ?? null,
    is_public: readFlag('is_public', open) ? 1 : 0,
    extra_specs: JSON.stringify(wish.extra_specs ?? {}),
    created_at: clock.now(),
    updated_at: null,
  };
  try {
    await db.transaction((tx) => tx.insertInto('volume_types').values(row).execute());
  } catch (cause) {
    throw isUniqueViolation(cause) ? volumeTypeTaken({ name }, { cause }) : cause;
  }
  return { status: 200, body: { volume_type: typeView(call, await seenType(parts, call, row.uuid)) } };
}

export async function updateType(parts: VolumeParts, call: Call<{ volume_type: TypeWish }>): Promise<Reply> {
  const { db, clock } = parts;
  const type = await seenType(parts, call);
  const { name, description, is_public } = call.body.volume_type;
  if (name === undefined && description === undefined && is_public === undefined)
    throw invalidInput({ why: 'Specify volume type name, description, is_public or a combination thereof.' });
  if (name !== undefined && !name?.trim()) throw invalidInput({ why: 'Volume type name can not be empty.' });
  if (type.name === DEFAULT_TYPE && name) throw invalidInput({ why: `The type ${DEFAULT_TYPE} cannot be renamed.` });
  const set = {
    ...(name ? { name: name.trim() } : {}),
    ...(description === undefined ? {} : { description }),
    ...(is_public === undefined ? {} : { is_public: readFlag('is_public', is_public) ? 1 : 0 }),
    updated_at: clock.now(),
  };
  try {
    await db.transaction(async (tx) => {
      await tx.updateTable('volume_types').set(set).where('uuid', '=', type.uuid).execute();
      if (name && name.trim() !== type.name)
        for (const what of ['volumes', 'snapshots', 'gigabytes'])
          await tx
            .updateTable('volume_quotas')
            .set({ resource: `${what}_${name.trim()}` })
            .where('resource', '=', `${what}_${type.name}`)
            .execute();
    });
  } catch (cause) {
    throw isUniqueViolation(cause) ? volumeTypeTaken({ name: name ?? '' }, { cause }) : cause;
  }
  return { status: 200, body: { volume_type: typeView(call, await seenType(parts, call, type.uuid)) } };
}

/** Throws volumeTypeInUse (400) while volumes are of it. */
export async function deleteType(parts: VolumeParts, call: Call): Promise<Reply> {
  const type = await seenType(parts, call);
  if (type.name === DEFAULT_TYPE) throw volumeTypeInUse({ id: type.uuid, why: 'is the default type and cannot be deleted.' });
  await parts.db.transaction(async (tx) => {
    const used = tx.selectFrom('volumes').select('uuid').where('type_uuid', '=', type.uuid);
    const done = await tx
      .deleteFrom('volume_types')
      .where('uuid', '=', type.uuid)
      .where((eb) => eb.not(eb.exists(used)))
      .executeTakeFirst();
    if (done.numDeletedRows === 0n) throw volumeTypeInUse({ id: type.uuid, why: 'deletion is not allowed while there are volumes of it.' });
    await tx.deleteFrom('volume_type_access').where('type_uuid', '=', type.uuid).execute();
    await tx.deleteFrom('volume_type_encryptions').where('type_uuid', '=', type.uuid).execute();
  });
  return { status: 202 };
}

async function changeSpecs(
  parts: VolumeParts,
  type: TypeRow,
  how: (specs: Record<string, string>) => Record<string, string>,
): Promise<void> {
  const now = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    await tx.updateTable('volume_types').set({ updated_at: now }).where('uuid', '=', type.uuid).execute();
    const row = await tx.selectFrom('volume_types').selectAll().where('uuid', '=', type.uuid).executeTakeFirst();
    if (!row) throw volumeTypeNotFound({ id: type.uuid });
    await tx
      .updateTable('volume_types')
      .set({ extra_specs: JSON.stringify(how(specsOf(row))) })
      .where('uuid', '=', type.uuid)
      .execute();
  });
}
export async function listSpecs(parts: VolumeParts, call: Call): Promise<Reply> {
  return { status: 200, body: { extra_specs: specsOf(await seenType(parts, call)) } };
}
export async function addSpecs(parts: VolumeParts, call: Call<{ extra_specs: Words }>): Promise<Reply> {
  await changeSpecs(parts, await seenType(parts, call), (specs) => ({ ...specs, ...call.body.extra_specs }));
  return { status: 200, body: { extra_specs: call.body.extra_specs } };
}
export async function showSpec(parts: VolumeParts, call: Call): Promise<Reply> {
  const key = call.params.key ?? '';
  const type = await seenType(parts, call);
  const value = specsOf(type)[key];
  if (value === undefined) throw volumeTypeSpecNotFound({ id: type.uuid, key });
  return { status: 200, body: { [key]: value } };
}
export async function setSpec(parts: VolumeParts, call: Call<Words>): Promise<Reply> {
  const key = call.params.key ?? '';
  if (!Object.hasOwn(call.body, key)) throw invalidInput({ why: 'Request body and URI mismatch' });
  await changeSpecs(parts, await seenType(parts, call), (specs) => ({ ...specs, ...call.body }));
  return { status: 200, body: call.body };
}
export async function removeSpec(parts: VolumeParts, call: Call): Promise<Reply> {
  const key = call.params.key ?? '';
  const type = await seenType(parts, call);
  await changeSpecs(parts, type, (specs) => {
    if (specs[key] === undefined) throw volumeTypeSpecNotFound({ id: type.uuid, key });
    return Object.fromEntries(Object.entries(specs).filter(([name]) => name !== key));
  });
  return { status: 202 };
}

/** Throws volumeTypeNotFound (404) for a public type: it has no list. */
export async function listAccess(parts: VolumeParts, call: Call): Promise<Reply> {
  const type = await seenType(parts, call);
  if (type.is_public === 1) throw volumeTypeNotFound({ id: type.uuid });
  const rows = await parts.db.read.selectFrom('volume_type_access').selectAll().where('type_uuid', '=', type.uuid).execute();
  const access = rows.map((row) => ({ volume_type_id: row.type_uuid, project_id: row.project_id }));
  return { status: 200, body: { volume_type_access: access } };
}
export async function addAccess(parts: VolumeParts, call: Call<{ addProjectAccess: { project: string } }>): Promise<Reply> {
  const type = await seenType(parts, call);
  const { project } = call.body.addProjectAccess;
  if (type.is_public === 1) throw invalidInput({ why: 'Type access modification is not applicable to public volume type.' });
  const row = { type_uuid: type.uuid, project_id: project };
  const fresh = await parts.db.transaction((tx) => insertIgnore(tx, parts.db.kind, 'volume_type_access', row));
  if (!fresh) throw volumeTypeAccessExists({ id: type.uuid, project });
  return { status: 202 };
}
export async function removeAccess(parts: VolumeParts, call: Call<{ removeProjectAccess: { project: string } }>): Promise<Reply> {
  const type = await seenType(parts, call);
  const { project } = call.body.removeProjectAccess;
  const done = await parts.db.transaction((tx) =>
    tx.deleteFrom('volume_type_access').where('type_uuid', '=', type.uuid).where('project_id', '=', project).executeTakeFirst(),
  );
  if (done.numDeletedRows === 0n) throw volumeTypeAccessNotFound({ id: type.uuid, project });
  return { status: 202 };
}
/** Puts in what every cloud begins with: the default type, and one whose volumes several servers may have. Safe to repeat. */
export async function seedTypes({ db, clock }: Pick<VolumeParts, 'db' | 'clock'>): Promise<void> {
  const seeds = [
    { name: DEFAULT_TYPE, description: 'Default Volume Type', extra_specs: '{}' },
    { name: 'multiattach', description: 'Several servers may have it attached at once', extra_specs: '{"multiattach":"<is> True"}' },
  ];
  const now = clock.now();
  await db.transaction(async (tx) => {
    // Only into a cloud without types: an operator may have deleted ours.
    const known = await tx.selectFrom('volume_types').select(sql<number>`count(*)`.as('count')).executeTakeFirstOrThrow();
    if (Number(known.count) > 0) return;
    for (const seed of seeds)
      await insertIgnore(tx, db.kind, 'volume_types', { ...seed, uuid: newUuid(), is_public: 1, created_at: now, updated_at: null });
  });
}
