import { sql } from 'kysely';
import { findVolume, type VolumeRow } from '../../db/tables/volume/volumes.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { volumeInvalid, volumeNotFound } from '../../model/errors-volume.ts';
import { flagIn, projectOf, seenVolume } from './find.ts';
import { type Listing, listRows, TIMES } from './list.ts';
import type { VolumeParts } from './parts.ts';
import type { Renaming } from './shapes.ts';
import { acceptedVolumeView, volumeSummary, volumeViews } from './views.ts';

const listing = (path: string): Listing => ({
  table: 'volumes',
  path,
  metadata: true,
  filters: {
    id: ['uuid', 'text'],
    name: ['name', 'text'],
    display_name: ['name', 'text'],
    status: ['status', 'text'],
    bootable: ['bootable', 'flag'],
    multiattach: ['multiattach', 'flag'],
    size: ['size', 'number'],
    availability_zone: ['availability_zone', 'text'],
    user_id: ['user_id', 'text'],
    volume_type_id: ['type_uuid', 'text'],
    snapshot_id: ['snapshot_uuid', 'text'],
    source_volid: ['source_uuid', 'text'],
  },
  sorts: {
    ...TIMES,
    id: 'uuid',
    name: 'name',
    display_name: 'name',
    size: 'size',
    status: 'status',
    bootable: 'bootable',
    availability_zone: 'availability_zone',
    project_id: 'project_id',
    user_id: 'user_id',
    volume_type_id: 'type_uuid',
  },
});

const answer = (name: string, items: readonly object[], links: object[] | undefined, count: number | undefined): Reply => ({
  status: 200,
  body: { [name]: items, ...(links ? { [`${name}_links`]: links } : {}), ...(count === undefined ? {} : { count }) },
});

export async function listVolumes(parts: VolumeParts, call: Call): Promise<Reply> {
  const { rows, links, count } = await listRows<VolumeRow>(parts, call, listing('volumes'));
  return answer(
    'volumes',
    rows.map((row) => volumeSummary(call, row)),
    links,
    count,
  );
}

/** Spec: block storage api-ref "List accessible volumes with details". */
export async function listVolumeDetails(parts: VolumeParts, call: Call): Promise<Reply> {
  const { rows, links, count } = await listRows<VolumeRow>(parts, call, listing('volumes/detail'));
  return answer('volumes', await volumeViews(parts, call, rows), links, count);
}

/** Spec: block storage api-ref "Get volumes summary". */
export async function summarizeVolumes({ db }: VolumeParts, call: Call): Promise<Reply> {
  const all = flagIn(call, 'all_tenants') && call.allows('context_is_admin');
  const project = projectOf(call);
  const found = await sql<{
    count: number;
    size: number | null;
  }>`select count(*) as count, sum(size) as size from volumes ${all ? sql`` : sql`where project_id = ${project}`}`.execute(db.read);
  const sums = found.rows[0];
  return { status: 200, body: { 'volume-summary': { total_count: Number(sums?.count ?? 0), total_size: Number(sums?.size ?? 0) } } };
}

export async function showVolume(parts: VolumeParts, call: Call): Promise<Reply> {
  const row = await seenVolume(parts, call);
  return { status: 200, body: { volume: (await volumeViews(parts, call, [row]))[0] } };
}

/** Changes of name and description; `metadata` replaces all of it.  Spec: block storage api-ref "Update a volume". */
export async function updateVolume(parts: VolumeParts, call: Call<{ volume: Renaming }>): Promise<Reply> {
  const row = await seenVolume(parts, call);
  const set = renamed(call.body.volume);
  const now = parts.clock.now();
  await parts.db.transaction((tx) =>
    tx
      .updateTable('volumes')
      .set({ ...set, updated_at: now })
      .where('uuid', '=', row.uuid)
      .execute(),
  );
  const after = await findVolume(parts.db.read, row.uuid);
  if (!after) throw volumeNotFound({ id: row.uuid });
  return { status: 200, body: { volume: await acceptedVolumeView(parts, call, after) } };
}

/** What a body changes of names. Throws invalidInput (400) when it changes nothing. */
export function renamed(wish: Renaming): { name?: string | null; description?: string | null; metadata?: string } {
  const name = wish.name !== undefined ? wish.name : wish.display_name;
  const description = wish.description !== undefined ? wish.description : wish.display_description;
  const set = {
    ...(name === undefined ? {} : { name: name?.trim() ?? null }),
    ...(description === undefined ? {} : { description }),
    ...(wish.metadata ? { metadata: JSON.stringify(wish.metadata) } : {}),
  };
  if (Object.keys(set).length === 0) throw invalidInput({ why: 'At least one of name, description and metadata must be given.' });
  return set;
}

const DELETABLE = ['available', 'error', 'error_restoring', 'error_extending', 'error_managing', 'error_deleting'];

/** Begins the deletion; with `cascade` its snapshots go too. Throws volumeInvalid (400) in a wrong state, or with snapshots.
 *  Spec: block storage api-ref "Delete a volume". */
export async function deleteVolume(parts: VolumeParts, call: Call): Promise<Reply> {
  const row = await seenVolume(parts, call);
  const force = flagIn(call, 'force');
  if (force) call.allow({ project_id: row.project_id }, 'volume:force_delete');
  await beginDelete(parts, row, { force, cascade: flagIn(call, 'cascade') });
  return { status: 202 };
}

/** The action os-force_delete: from any state. */
export async function forceDeleteVolume(parts: VolumeParts, call: Call): Promise<Reply> {
  const row = await seenVolume(parts, call);
  await beginDelete(parts, row, { force: true, cascade: true });
  return { status: 202 };
}

async function beginDelete({ db, clock, tasks }: VolumeParts, row: VolumeRow, how: { force: boolean; cascade: boolean }): Promise<void> {
  const now = clock.now();
  const task = await db.transaction(async (tx) => {
    // With cascade only snapshots that something is being done to stand in the way, by force none.
    const inTheWay = tx
      .selectFrom('volume_snapshots')
      .select('uuid')
      .where('volume_uuid', '=', row.uuid)
      .$if(how.cascade, (query) => query.where('status', 'in', ['creating', 'restoring']));
    const done = await tx
      .updateTable('volumes')
      .set({ status: 'deleting', updated_at: now })
      .where('uuid', '=', row.uuid)
      .$if(!how.force, (query) =>
        query
          .where('status', 'in', DELETABLE)
          .where((eb) => eb.or([eb('migration_status', 'is', null), eb('migration_status', 'in', ['deleting', 'error', 'success'])]))
          .where((eb) => eb.not(eb.exists(inTheWay))),
      )
      .executeTakeFirst();
    if (done.numUpdatedRows === 0n)
      throw volumeInvalid({
        why: 'Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.',
      });
    await tx.updateTable('volume_snapshots').set({ status: 'deleting', updated_at: now }).where('volume_uuid', '=', row.uuid).execute();
    return tasks.add(tx, { kind: 'delete-volume', target: row.uuid });
  });
  tasks.begin(task);
}
