import type { VolumeInfo, VolumeSnapshotInfo } from '../../clients/volume.ts';
import { devicesWithVolume } from '../../db/tables/compute/block-devices.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import { volumeUnknown } from '../../model/errors-block-devices.ts';
import type { ServerParts } from './server-parts.ts';
import { isTrue } from './shapes/server-common.ts';
import type { AssistedSnapshot, SnapshotCreate, VolumeCreate } from './shapes/volumes.ts';

// Compute's old face of the block storage service, to 2.35: asked with the caller's own token.

const as = (call: Call) => (call.token === null ? {} : { token: call.token });
/** A quota of that service is a 403 here. */
const inOwnWords = (cause: unknown): unknown =>
  cause instanceof CloudError && cause.kind === 'tooLarge'
    ? new CloudError(cause.code, 'forbidden', cause.message, cause.params, { cause })
    : cause;
const asked = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (cause) {
    throw inOwnWords(cause);
  }
};
const notFound = (id: string) => (cause: unknown) => {
  throw cause instanceof CloudError && cause.kind === 'notFound' ? volumeUnknown({ id: id.slice(0, 100) }, { cause }) : inOwnWords(cause);
};

const volumeView = (volume: VolumeInfo) => ({
  id: volume.id,
  status: volume.status,
  size: volume.sizeGiB,
  availabilityZone: volume.zone,
  createdAt: volume.createdAt,
  attachments: volume.attachments.map((one) => ({
    id: volume.id,
    volumeId: volume.id,
    serverId: one.serverId,
    ...(one.device ? { device: one.device } : {}),
  })),
  displayName: volume.name,
  displayDescription: volume.description,
  volumeType: volume.typeName ?? '',
  snapshotId: volume.snapshotId,
  metadata: volume.metadata,
});
const snapshotView = (snapshot: VolumeSnapshotInfo) => ({
  id: snapshot.id,
  volumeId: snapshot.volumeId,
  status: snapshot.status,
  size: snapshot.sizeGiB,
  createdAt: snapshot.createdAt,
  displayName: snapshot.name,
  displayDescription: snapshot.description,
});

function page<T>(call: Call, items: readonly T[]): readonly T[] {
  const read = (word: string, none: number) => {
    const given = one(call, word);
    if (given === undefined) return none;
    if (!/^\d{1,9}$/.test(given)) throw invalidInput({ why: `${word} must be an integer not less than 0, not '${given.slice(0, 50)}'.` });
    return Number(given);
  };
  const offset = read('offset', 0);
  return items.slice(offset, offset + read('limit', 1000));
}

export async function listVolumes({ volumes }: ServerParts, call: Call): Promise<Reply> {
  return { status: 200, body: { volumes: page(call, await asked(volumes.list(as(call)))).map(volumeView) } };
}
export async function showVolume({ volumes }: ServerParts, call: Call): Promise<Reply> {
  const id = call.params.id ?? '';
  return { status: 200, body: { volume: volumeView(await volumes.show(id, as(call)).catch(notFound(id))) } };
}
export async function createVolume({ volumes }: ServerParts, call: Call<VolumeCreate>): Promise<Reply> {
  const wish = call.body.volume;
  const made = await asked(
    volumes.create(
      {
        projectId: call.caller.projectId ?? '',
        sizeGiB: Number(wish.size),
        ...(wish.display_name ? { name: wish.display_name } : {}),
        ...(wish.display_description ? { description: wish.display_description } : {}),
        ...(wish.snapshot_id ? { snapshotId: wish.snapshot_id } : {}),
        ...(wish.volume_type ? { type: wish.volume_type } : {}),
        ...(wish.availability_zone ? { zone: wish.availability_zone } : {}),
        ...(wish.metadata ? { metadata: wish.metadata } : {}),
      },
      as(call),
    ),
  );
  return { status: 200, body: { volume: volumeView(made) }, headers: { location: `${call.base}/os-volumes/${made.id}` } };
}
export async function deleteVolume({ volumes }: ServerParts, call: Call): Promise<Reply> {
  const id = call.params.id ?? '';
  await volumes.show(id, as(call)).catch(notFound(id));
  await asked(volumes.remove(id, as(call)));
  return { status: 202 };
}
export async function listSnapshots({ volumes }: ServerParts, call: Call): Promise<Reply> {
  return { status: 200, body: { snapshots: page(call, await asked(volumes.listSnapshots(as(call)))).map(snapshotView) } };
}
export async function showSnapshot({ volumes }: ServerParts, call: Call): Promise<Reply> {
  const id = call.params.id ?? '';
  return { status: 200, body: { snapshot: snapshotView(await volumes.showSnapshot(id, as(call)).catch(notFound(id))) } };
}
export async function createSnapshot({ volumes }: ServerParts, call: Call<SnapshotCreate>): Promise<Reply> {
  const wish = call.body.snapshot;
  const { display_name: name = null, display_description: description = null } = wish;
  const made = await asked(volumes.createSnapshot({ volumeId: wish.volume_id, name, description, force: isTrue(wish.force) }, as(call)));
  return { status: 200, body: { snapshot: snapshotView(made) } };
}
export async function deleteSnapshot({ volumes }: ServerParts, call: Call): Promise<Reply> {
  const id = call.params.id ?? '';
  await volumes.removeSnapshot(id, as(call)).catch(notFound(id));
  return { status: 202 };
}

/** What remote file systems ask of compute: a snapshot of a volume in use, taken by its hypervisor. No hypervisor of ours can, which the block storage
 *  service is told as its snapshot's state, as a host says it.  Throws 400 for a volume that no server has. */
export async function createAssistedSnapshot(parts: ServerParts, call: Call<AssistedSnapshot>): Promise<Reply> {
  const { volume_id, create_info } = call.body.snapshot;
  await mustBeInServer(parts, volume_id);
  const id = create_info.id ?? create_info.snapshot_id;
  await parts.volumes
    .setSnapshotStatus(create_info.snapshot_id, 'error')
    .catch((cause) => call.log.warn({ err: cause, snapshot: id }, 'the block storage service could not be told of a snapshot'));
  return { status: 200, body: { snapshot: { id, volumeId: volume_id } } };
}
export async function deleteAssistedSnapshot(parts: ServerParts, call: Call): Promise<Reply> {
  const info = one(call, 'delete_info');
  let volume: unknown;
  try {
    volume = (JSON.parse(info ?? '') as { volume_id?: unknown } | null)?.volume_id;
  } catch (cause) {
    throw invalidInput({ why: 'delete_info must be JSON.' }, { cause });
  }
  if (typeof volume !== 'string') throw invalidInput({ why: "delete_info must name a 'volume_id'." });
  await mustBeInServer(parts, volume);
  const id = call.params.id ?? '';
  await parts.volumes
    .setSnapshotStatus(id, 'error_deleting')
    .catch((cause) => call.log.warn({ err: cause, snapshot: id }, 'the block storage service could not be told of a snapshot'));
  return { status: 204 };
}
async function mustBeInServer({ db }: ServerParts, volumeId: string): Promise<void> {
  const rows = await devicesWithVolume(db.read, volumeId.slice(0, 36).toLowerCase());
  if (rows.length === 0) throw invalidInput({ why: `No server has volume ${volumeId.slice(0, 100)} attached.` });
}
