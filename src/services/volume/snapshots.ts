import { takesOf, takeVolumeQuota } from '../../db/tables/volume/quotas.ts';
import { findSnapshot, moveSnapshot, type SnapshotRow } from '../../db/tables/volume/volumes.ts';
import type { Call, Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { volumeInput, volumeInvalid, volumeNotFound, volumeSnapshotInvalid, volumeSnapshotNotFound } from '../../model/errors-volume.ts';
import { lockVolume } from './attaching.ts';
import { readFlag, seenSnapshot, seenVolume } from './find.ts';
import { type Listing, listRows, TIMES } from './list.ts';
import { snapshotsNeedNoForce } from './microversions.ts';
import type { VolumeParts } from './parts.ts';
import type { Renaming, Reset, SnapshotCreate } from './shapes.ts';
import { snapshotView } from './views.ts';
import { renamed } from './volumes.ts';

const listing = (path: string): Listing => ({
  table: 'volume_snapshots',
  path,
  metadata: true,
  filters: {
    id: ['uuid', 'text'],
    name: ['name', 'text'],
    display_name: ['name', 'text'],
    status: ['status', 'text'],
    volume_id: ['volume_uuid', 'text'],
    size: ['size', 'number'],
    user_id: ['user_id', 'text'],
  },
  sorts: { ...TIMES, id: 'uuid', name: 'name', display_name: 'name', status: 'status', volume_id: 'volume_uuid', volume_size: 'size' },
});

export const listSnapshots =
  (detail: boolean) =>
  async (parts: VolumeParts, call: Call): Promise<Reply> => {
    const { rows, links, count } = await listRows<SnapshotRow>(parts, call, listing(detail ? 'snapshots/detail' : 'snapshots'));
    const body = { snapshots: rows.map((row) => snapshotView(row, detail)), ...(links ? { snapshots_links: links } : {}) };
    return { status: 200, body: { ...body, ...(count === undefined ? {} : { count }) } };
  };

export async function showSnapshot(parts: VolumeParts, call: Call): Promise<Reply> {
  return { status: 200, body: { snapshot: snapshotView(await seenSnapshot(parts, call)) } };
}

/** Accepts a snapshot. Of a volume in use only with `force`, which from 3.66 on is understood.
 *  Throws volumeInvalid (400), volumeLimitExceeded, volumeGigabytesExceeded (413).  Spec: block storage api-ref "Create a snapshot". */
export async function createSnapshot(parts: VolumeParts, call: Call<SnapshotCreate>): Promise<Reply> {
  const { db, clock, tasks } = parts;
  const wish = call.body.snapshot;
  const volume = await seenVolume(parts, call, { id: wish.volume_id });
  const asked = wish.force === undefined || wish.force === null ? undefined : readFlag('force', wish.force);
  const understood = snapshotsNeedNoForce(call.version);
  if (understood && asked === false)
    throw invalidInput({ why: "Invalid value 'false' for 'force': snapshots of attached volumes need no force from 3.66 on." });
  const allowed = understood || asked ? ['available', 'in-use'] : ['available'];
  const type = await db.read.selectFrom('volume_types').select('name').where('uuid', '=', volume.type_uuid).executeTakeFirst();
  const now = clock.now();
  const uuid = newUuid();
  const task = await db.transaction(async (tx) => {
    const row = await lockVolume(tx, volume.uuid, now);
    if (!row) throw volumeNotFound({ id: volume.uuid });
    if (!allowed.includes(row.status))
      throw volumeInvalid({ why: `Volume ${row.uuid} status must be ${allowed.join(' or ')}, but current status is: ${row.status}.` });
    await takeVolumeQuota(tx, db.kind, row.project_id, takesOf('snapshots', type?.name ?? '', row.size));
    await tx
      .insertInto('volume_snapshots')
      .values({
        uuid,
        project_id: row.project_id,
        user_id: call.caller.userId,
        name: wish.name ?? wish.display_name ?? null,
        description: wish.description ?? wish.display_description ?? null,
        size: row.size,
        status: 'creating',
        metadata: JSON.stringify(wish.metadata ?? {}),
        created_at: now,
        updated_at: now,
        volume_uuid: row.uuid,
      })
      .execute();
    return tasks.add(tx, { kind: 'create-snapshot', target: uuid });
  });
  const made = await findSnapshot(db.read, uuid);
  tasks.begin(task);
  if (!made) throw volumeSnapshotNotFound({ id: uuid });
  return { status: 202, body: { snapshot: snapshotView(made, false) } };
}

export async function updateSnapshot(parts: VolumeParts, call: Call<{ snapshot: Renaming }>): Promise<Reply> {
  const { uuid } = await seenSnapshot(parts, call);
  const set = renamed(call.body.snapshot);
  const now = parts.clock.now();
  await parts.db.transaction((tx) =>
    tx
      .updateTable('volume_snapshots')
      .set({ ...set, updated_at: now })
      .where('uuid', '=', uuid)
      .execute(),
  );
  const row = await findSnapshot(parts.db.read, uuid);
  if (!row) throw volumeSnapshotNotFound({ id: uuid });
  return { status: 200, body: { snapshot: snapshotView(row, false) } };
}

const remove =
  (from: readonly string[] | 'any') =>
  async (parts: VolumeParts, call: Call): Promise<Reply> => {
    const { db, clock, tasks } = parts;
    const row = await seenSnapshot(parts, call);
    const now = clock.now();
    const task = await db.transaction(async (tx) => {
      if (!(await moveSnapshot(tx, row.uuid, from, { status: 'deleting', updated_at: now })))
        throw volumeSnapshotInvalid({ why: `Snapshot status must be available or error, but it is ${row.status}.` });
      return tasks.add(tx, { kind: 'delete-snapshot', target: row.uuid });
    });
    tasks.begin(task);
    return { status: 202 };
  };
export const deleteSnapshot = remove(['available', 'error', 'error_deleting']);
export const forceDeleteSnapshot = remove('any');

const STATUSES = new Set(['creating', 'available', 'deleting', 'error', 'error_deleting']);
const setStatus = async (parts: VolumeParts, row: SnapshotRow, status: string | null | undefined) => {
  if (!status || !STATUSES.has(status.toLowerCase()))
    throw volumeInput({ why: `Must specify a valid status. Invalid: ${String(status).slice(0, 50)}` });
  const now = parts.clock.now();
  await parts.db.transaction((tx) => moveSnapshot(tx, row.uuid, 'any', { status: status.toLowerCase(), updated_at: now }));
  return { status: 202 };
};
export const resetSnapshotStatus = async (parts: VolumeParts, call: Call<{ 'os-reset_status': Reset }>): Promise<Reply> =>
  setStatus(parts, await seenSnapshot(parts, call), call.body['os-reset_status'].status);
/** What compute says of a snapshot it takes itself. */
export const updateSnapshotStatus = async (
  parts: VolumeParts,
  call: Call<{ 'os-update_snapshot_status': { status: string } }>,
): Promise<Reply> => setStatus(parts, await seenSnapshot(parts, call), call.body['os-update_snapshot_status'].status);
