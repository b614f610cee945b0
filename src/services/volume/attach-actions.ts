import { type AttachmentRow, attachmentsOf, moveVolume, statusOf } from '../../db/tables/volume/volumes.ts';
import type { Call, Reply } from '../../http/call.ts';
import { volumeInvalid, volumeNotFound } from '../../model/errors-volume.ts';
import { connectionOf, isMigrating, lockVolume, reserve, settle } from './attaching.ts';
import { mustBeFree } from './attachments.ts';
import { seenVolume } from './find.ts';
import type { VolumeParts } from './parts.ts';
import type { Attach, Connector, Detach } from './shapes.ts';

// The older way to attach, before there were attachments: a client itself says what is being done.  Spec: block storage api-ref "Volume actions".

/** Moves a volume from one state to another. Throws volumeInvalid (400). */
const move =
  (name: string, from: (multiattach: boolean) => readonly string[], to: string | 'settled') =>
  async (parts: VolumeParts, call: Call): Promise<Reply> => {
    const seen = await seenVolume(parts, call);
    const now = parts.clock.now();
    await parts.db.transaction(async (tx) => {
      const row = await lockVolume(tx, seen.uuid, now);
      if (!row) throw volumeNotFound({ id: seen.uuid });
      const allowed = from(row.multiattach === 1);
      if (!allowed.includes(row.status))
        throw volumeInvalid({
          why: `Volume ${row.uuid} status must be ${allowed.join(' or ')} to ${name}, but the current status is ${row.status}.`,
        });
      const status = to === 'settled' ? statusOf(await attachmentsOf(tx, [row.uuid])) : to;
      await moveVolume(tx, row.uuid, 'any', { status });
    });
    return { status: 202 };
  };

export const reserveVolume = move('reserve', (multi) => (multi ? ['available', 'in-use'] : ['available']), 'attaching');
export const unreserveVolume = move('unreserve', () => ['attaching'], 'settled');
const begin = move('begin detaching', () => ['in-use'], 'detaching');
/** A volume that is moved keeps its status, as whoever moves it wants; it is as good as 'detaching'. */
export async function beginDetaching(parts: VolumeParts, call: Call): Promise<Reply> {
  return isMigrating(await seenVolume(parts, call)) ? { status: 202 } : begin(parts, call);
}
export const rollDetaching = move('roll detaching', () => ['detaching'], 'in-use');

export async function attachVolume(parts: VolumeParts, call: Call<{ 'os-attach': Attach }>): Promise<Reply> {
  const seen = await seenVolume(parts, call);
  const { instance_uuid, host_name, mountpoint, mode } = call.body['os-attach'];
  if (!instance_uuid && !host_name) throw volumeInvalid({ why: 'instance_uuid or host_name must be given to attach a volume.' });
  const now = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    const row = await lockVolume(tx, seen.uuid, now);
    if (!row) throw volumeNotFound({ id: seen.uuid });
    const asker = { server: instance_uuid ?? null, mode: mode ?? 'rw', byService: false };
    await reserve(tx, row, asker, now, { status: 'attached', mountpoint: mountpoint ?? null, host: host_name ?? null, attached_at: now });
    await moveVolume(tx, row.uuid, ['attaching', 'available', 'in-use'], { status: 'in-use' });
  });
  return { status: 202 };
}

/** Ends the attachment named, or the only one. Throws volumeInvalid (400), volumeUsedByServer (409). */
async function end(parts: VolumeParts, call: Call, id: string | null | undefined): Promise<Reply> {
  const seen = await seenVolume(parts, call);
  const now = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    const row = await lockVolume(tx, seen.uuid, now);
    if (!row) throw volumeNotFound({ id: seen.uuid });
    const attachments = await attachmentsOf(tx, [row.uuid]);
    const found: AttachmentRow | undefined = id ? attachments.find((one) => one.uuid === id.toLowerCase()) : attachments[0];
    if (id && !found) throw volumeInvalid({ why: `Volume ${row.uuid} has no attachment ${id}.` });
    if (!id && attachments.length > 1)
      throw volumeInvalid({ why: `Detach volume failed: More than one attachment, but no attachment_id provided.` });
    if (found) {
      mustBeFree(call, found);
      await tx.deleteFrom('volume_attachments').where('uuid', '=', found.uuid).execute();
    }
    await settle(tx, row, now);
  });
  return { status: 202 };
}
export const detachVolume = (parts: VolumeParts, call: Call<{ 'os-detach': Detach | null }>) =>
  end(parts, call, call.body['os-detach']?.attachment_id);
export const forceDetachVolume = (parts: VolumeParts, call: Call<{ 'os-force_detach': Detach | null }>) =>
  end(parts, call, call.body['os-force_detach']?.attachment_id);

export async function initializeConnection(
  parts: VolumeParts,
  call: Call<{ 'os-initialize_connection': { connector: Connector } }>,
): Promise<Reply> {
  const row = await seenVolume(parts, call);
  return { status: 200, body: { connection_info: connectionOf(parts, row, row.readonly === 1 ? 'ro' : 'rw') } };
}
export async function terminateConnection(parts: VolumeParts, call: Call): Promise<Reply> {
  await seenVolume(parts, call);
  return { status: 202 };
}
