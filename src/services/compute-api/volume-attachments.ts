import type { VolumeInfo } from '../../clients/volume.ts';
import type { Query } from '../../db/engine.ts';
import {
  type BlockDeviceRow,
  blockDevicesOf,
  freeDeviceName,
  insertBlockDevices,
  refreshShortList,
  setBlockDevice,
  volumeDevicesOf,
} from '../../db/tables/compute/block-devices.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { before, from } from '../../lib/answer.ts';
import { newUuid } from '../../lib/ids.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import {
  attachmentFieldFixed,
  deviceNameTaken,
  multiattachOffloaded,
  multiattachSwap,
  multiattachTooOld,
  newVolumeUnknown,
  rootVolumeKept,
  tagOffloaded,
  volumeAttachedTwice,
  volumeNotAttached,
  volumeNotMigrating,
  volumeUnfit,
  volumeUnknown,
} from '../../model/errors-block-devices.ts';
import { serverWrongState } from '../../model/errors-compute.ts';
import type { Server } from '../../model/server.ts';
import { deviceName } from './block-device-wish.ts';
import { attachAnswersEmpty, attachmentsAreChanged, shelvedTakeVolumes, volumesAreShared } from './microversions.ts';
import { intend, isMute } from './request-intent.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { beginTask, changeServer, mustAllow } from './server-tasks.ts';
import { isTrue } from './shapes/server-common.ts';
import type { AttachVolume, UpdateAttachment } from './shapes/volumes.ts';

/** One volume of a server, in its newest form.  Spec: compute api-ref "Show a detail of a volume attachment". */
const attachmentView = (row: BlockDeviceRow) => ({
  id: before('2.89', row.volume_id),
  serverId: row.server_uuid,
  volumeId: row.volume_id,
  device: row.device_name,
  tag: from('2.70', row.tag),
  delete_on_termination: from('2.79', row.delete_on_termination === 1),
  attachment_id: from('2.89', row.attachment_id),
  bdm_uuid: from('2.89', row.uuid),
});
const attached = async (db: Query, server: Server) => (await volumeDevicesOf(db, server.uuid)).filter((row) => row.volume_id !== null);

/** A page word as Nova reads it. Throws invalidInput (400). */
function whole(call: Call, word: 'limit' | 'offset'): number | undefined {
  const given = one(call, word);
  if (given === undefined) return undefined;
  if (!/^\d{1,9}$/.test(given)) throw invalidInput({ why: `${word} must be an integer not less than 0, not '${given.slice(0, 50)}'.` });
  return Number(given);
}

export async function listAttachments(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const rows = await attached(parts.db.read, server);
  const offset = whole(call, 'offset') ?? 0;
  const limit = Math.min(whole(call, 'limit') ?? 1000, parts.maxLimit ?? 1000);
  return { status: 200, body: { volumeAttachments: rows.slice(offset, offset + limit).map(attachmentView) } };
}

async function deviceOf(parts: ServerParts, call: Call, server: Server): Promise<BlockDeviceRow> {
  const volume = (call.params.volume ?? '').toLowerCase();
  const row = (await attached(parts.db.read, server)).find((one) => one.volume_id === volume);
  if (!row) throw volumeNotAttached({ server: server.uuid, volume: volume.slice(0, 100) });
  return row;
}

export async function showAttachment(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  return { status: 200, body: { volumeAttachment: attachmentView(await deviceOf(parts, call, server)) } };
}

/** The volume as the caller may see it. Throws volumeUnknown (404). */
async function volumeOf(parts: ServerParts, call: Call, id: string): Promise<VolumeInfo> {
  try {
    return await parts.volumes.show(id, call.token === null ? {} : { token: call.token });
  } catch (cause) {
    if (cause instanceof CloudError && cause.kind === 'notFound') throw volumeUnknown({ id }, { cause });
    throw cause;
  }
}
const SHELVED = ['shelved', 'shelved_offloaded'];
function mustTakeVolumes(call: Call, server: Server, action: 'attachVolume' | 'detachVolume', word: string): void {
  mustAllow(action, word, server, call);
  if (SHELVED.includes(server.vmState) && !shelvedTakeVolumes(call.version))
    throw serverWrongState({ id: server.uuid, action: word, attribute: 'vm_state', value: server.vmState });
}
/** The service's refusal in compute's words. */
const unfit = (cause: unknown) =>
  cause instanceof CloudError && cause.kind === 'invalid' && cause.code.startsWith('volume.answered')
    ? volumeUnfit({ why: cause.message.replace(/^Invalid volume: /, '') }, { cause })
    : cause;

/** Accepts a volume for a server: it is set aside at once, and plugged in by the conductor.
 *  Throws volumeUnknown (404), 400 for volumes that are not free, 409 for states that take none.  Spec: compute api-ref "Attach a volume to an instance". */
export async function attachVolume(parts: ServerParts, call: Call<AttachVolume>): Promise<Reply> {
  const wish = call.body.volumeAttachment;
  const seen = await serverOf(parts.db.read, call);
  mustTakeVolumes(call, seen, 'attachVolume', 'attach_volume');
  const volumeId = wish.volumeId.toLowerCase();
  const offloaded = seen.vmState === 'shelved_offloaded';
  if (offloaded && wish.tag !== undefined) throw tagOffloaded({});
  const wanted = deviceName(wish.device);
  const volume = await volumeOf(parts, call, volumeId);
  if (volume.multiattach && !volumesAreShared(call.version)) throw multiattachTooOld({});
  if (volume.multiattach && offloaded) throw multiattachOffloaded({});
  if ((await attached(parts.db.read, seen)).some((row) => row.volume_id === volumeId))
    throw volumeAttachedTwice({ volume: volumeId, server: seen.uuid });
  const intent = await intend(parts, call, seen.uuid, { volumeIds: [volumeId] });
  const attachment = await parts.volumes.reserve(volumeId, seen.uuid).catch(async (cause) => {
    if (!isMute(cause)) await intent.forget();
    throw unfit(cause);
  });
  const device = newUuid();
  try {
    await beginTask(parts, call, seen, (server) => {
      mustTakeVolumes(call, server, 'attachVolume', 'attach_volume');
      return {
        taskState: null,
        actionName: 'attach_volume',
        kind: 'attach-volume',
        details: { volumeId },
        input: { serverUuid: server.uuid, device },
        also: async (tx, now) => {
          await intent.fulfil(tx);
          const rows = await blockDevicesOf(tx, server.uuid);
          if (rows.some((row) => row.volume_id === volumeId)) throw volumeAttachedTwice({ volume: volumeId, server: server.uuid });
          const taken = [...rows.map((row) => row.device_name), server.rootDeviceName ?? '/dev/vda', ...localNames(server, rows)];
          if (wanted !== null && taken.includes(wanted)) throw deviceNameTaken({ name: wanted });
          const row = {
            uuid: device,
            server_uuid: server.uuid,
            source_type: 'volume',
            destination_type: 'volume',
            boot_index: null,
            device_name: wanted ?? freeDeviceName(taken),
            disk_bus: null,
            device_type: null,
            guest_format: null,
            volume_size_gib: volume.sizeGiB,
            volume_type: null,
            image_id: null,
            snapshot_id: null,
            volume_id: volumeId,
            attachment_id: attachment,
            connection: null,
            delete_on_termination: isTrue(wish.delete_on_termination) ? 1 : 0,
            tag: wish.tag ?? null,
            created_at: now,
            updated_at: null,
          };
          await insertBlockDevices(tx, [row]);
          await refreshShortList(tx, server.uuid);
        },
      };
    });
  } catch (cause) {
    if (!isMute(cause)) await parts.volumes.release(attachment).then(intent.forget, () => undefined); // else a conductor does it
    throw cause;
  }
  if (attachAnswersEmpty(call.version)) return { status: 202 };
  const row = (await attached(parts.db.read, seen)).find((one) => one.uuid === device);
  const view = {
    id: volumeId,
    serverId: seen.uuid,
    volumeId,
    device: row?.device_name ?? wanted,
    tag: from('2.70', wish.tag ?? null),
    delete_on_termination: from('2.79', isTrue(wish.delete_on_termination)),
  };
  return { status: 200, body: { volumeAttachment: view } };
}

/** Names that the blank disks of its flavor have, as far as nobody named disks in their place. */
const localNames = ({ flavor }: Server, rows: readonly BlockDeviceRow[]): string[] => {
  const blank = rows.filter((row) => row.destination_type === 'local' && row.source_type === 'blank');
  const names: string[] = [];
  if (flavor.ephemeralGiB > 0 && !blank.some((row) => row.guest_format !== 'swap')) names.push(freeDeviceName(names));
  if (flavor.swapMiB > 0 && !blank.some((row) => row.guest_format === 'swap')) names.push(freeDeviceName(names));
  return names;
};

/** Accepts that a volume leaves its server. Throws volumeNotAttached (404), rootVolumeKept (400), 409.
 *  Spec: compute api-ref "Detach a volume from an instance". */
export async function detachVolume(parts: ServerParts, call: Call): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  mustTakeVolumes(call, seen, 'detachVolume', 'detach_volume');
  const row = await deviceOf(parts, call, seen);
  const volumeId = row.volume_id ?? '';
  if (row.boot_index === 0) throw rootVolumeKept({});
  const offloaded = seen.host === null;
  const intent = await intend(parts, call, seen.uuid, offloaded ? {} : { volumeIds: [volumeId] });
  if (!offloaded)
    await parts.volumes.beginDetaching(volumeId).catch(async (cause) => {
      if (!isMute(cause)) await intent.forget();
      throw unfit(cause);
    });
  try {
    await beginTask(parts, call, seen, (server) => {
      mustTakeVolumes(call, server, 'detachVolume', 'detach_volume');
      const input = { serverUuid: server.uuid, device: row.uuid };
      return { taskState: null, actionName: 'detach_volume', kind: 'detach-volume', input, details: { volumeId }, also: intent.fulfil };
    });
  } catch (cause) {
    if (!isMute(cause)) await parts.volumes.rollDetaching(volumeId).then(intent.forget, () => undefined); // else a conductor does it
    throw cause;
  }
  return { status: 202 };
}

/** Changes what becomes of an attachment with its server (from 2.85 on), and swaps its volume for another that the block storage service moves it to.
 *  Throws volumeNotAttached (404), attachmentFieldFixed (400), and what `swapVolume` does.  Spec: compute api-ref "Update a volume attachment". */
export async function updateAttachment(parts: ServerParts, call: Call<UpdateAttachment>): Promise<Reply> {
  const wish = call.body.volumeAttachment;
  const server = await serverOf(parts.db.read, call);
  const row = await deviceOf(parts, call, server);
  const next = wish.volumeId.toLowerCase();
  const changes = attachmentsAreChanged(call.version);
  const swaps = !changes || next !== row.volume_id;
  if (swaps) call.allow({}, 'os_compute_api:os-volumes-attachments:swap'); // whoever moves volumes is not of the server's project
  if (changes) await keep(parts, server, row, wish);
  if (swaps) await swapVolume(parts, call, server, row, next);
  return { status: 202 };
}

/** Throws volumeNotMigrating (409), newVolumeUnknown, volumeUnfit, multiattachSwap (400), 409 for states in which nothing is swapped. */
async function swapVolume(parts: ServerParts, call: Call, seen: Server, row: BlockDeviceRow, next: string): Promise<void> {
  const { volumes } = parts;
  const oldVolumeId = row.volume_id ?? '';
  const old = await volumeOf(parts, call, oldVolumeId);
  if (old.migrationStatus === null) throw volumeNotMigrating({ volume: oldVolumeId });
  const fresh = await volumeOf(parts, call, next).catch((cause) => {
    throw cause instanceof CloudError && cause.kind === 'notFound' ? newVolumeUnknown({ id: next }, { cause }) : cause;
  });
  mustAllow('swapVolume', 'swap_volume', seen, call);
  if (row.attachment_id === null || !old.attachments.some((one) => one.serverId === seen.uuid))
    throw volumeUnfit({ why: 'Old volume is attached to a different instance.' });
  if (fresh.attachments.length > 0) throw volumeUnfit({ why: 'New volume must be detached in order to swap.' });
  if (fresh.sizeGiB < old.sizeGiB) throw volumeUnfit({ why: 'New volume must be the same size or larger.' });
  if (old.multiattach && old.attachments.length > 1) throw multiattachSwap({});
  const intent = await intend(parts, call, seen.uuid, { volumeIds: [oldVolumeId, next] });
  const refused = async (cause: unknown) => {
    throw unfit(cause);
  };
  await volumes.beginDetaching(oldVolumeId).catch(async (cause) => {
    if (!isMute(cause)) await intent.forget();
    return refused(cause);
  });
  let newAttachment: string | undefined;
  try {
    newAttachment = await volumes.reserve(next, seen.uuid).catch(refused);
    const input = {
      serverUuid: seen.uuid,
      device: row.uuid,
      oldVolumeId,
      oldAttachment: row.attachment_id,
      newVolumeId: next,
      newAttachment: newAttachment ?? '',
    };
    await beginTask(parts, call, seen, (server) => {
      mustAllow('swapVolume', 'swap_volume', server, call);
      const details = { oldVolumeId, newVolumeId: next };
      return { taskState: null, actionName: 'swap_volume', kind: 'swap-volume', input, details, also: intent.fulfil };
    });
  } catch (cause) {
    if (isMute(cause)) throw cause; // it may be accepted; if it is not, a conductor does what follows
    try {
      await volumes.rollDetaching(oldVolumeId);
      if (newAttachment !== undefined) await volumes.release(newAttachment);
      await intent.forget();
    } catch {
      // a conductor does it
    }
    throw cause;
  }
}

async function keep(parts: ServerParts, server: Server, row: BlockDeviceRow, wish: UpdateAttachment['volumeAttachment']): Promise<void> {
  const fixed = [
    ['id', wish.id?.toLowerCase(), row.volume_id],
    ['serverId', wish.serverId?.toLowerCase(), server.uuid],
    ['device', wish.device, row.device_name],
    ['tag', wish.tag, row.tag],
  ] as const;
  for (const [field, given, is] of fixed) if (given !== undefined && given !== is) throw attachmentFieldFixed({ field });
  const flag = wish.delete_on_termination;
  if (flag !== undefined)
    await changeServer(parts, server, () => ({
      set: {},
      what: 'updated',
      also: async (tx, now) => {
        await setBlockDevice(tx, row.uuid, { delete_on_termination: isTrue(flag) ? 1 : 0, updated_at: now });
        await refreshShortList(tx, server.uuid);
      },
    }));
}

/** Begins to let a server's guest see that one of its volumes grew: for the external event volume-extended (2.51). False: it has no such volume. */
export async function volumeExtended(parts: ServerParts, call: Call, server: Server, volumeId: string): Promise<boolean> {
  const row = (await attached(parts.db.read, server)).find((one) => one.volume_id === volumeId);
  if (!row) return false;
  const input = { serverUuid: server.uuid, device: row.uuid };
  await beginTask(parts, call, server, () => ({ taskState: null, actionName: 'extend_volume', kind: 'extend-volume', input }));
  return true;
}
