import { attachmentsOf, moveVolume } from '../../db/tables/volume/volumes.ts';
import type { Call, Reply } from '../../http/call.ts';
import { volumeInvalid, volumeNotFound } from '../../model/errors-volume.ts';
import { lockVolume } from './attaching.ts';
import { fromImage, mustHold } from './create-volume.ts';
import { readFlag, seenVolume } from './find.ts';
import type { VolumeParts } from './parts.ts';
import type { Reimage } from './shapes.ts';

/** Writes an image over a volume that no guest uses; one that is set aside for a server only with `reimage_reserved`. The server is told when it is over.
 *  Throws volumeImageUnusable, volumeInput, volumeInvalid (400).  Spec: block storage api-ref "Reimage a volume". */
export async function reimageVolume(parts: VolumeParts, call: Call<{ 'os-reimage': Reimage }>): Promise<Reply> {
  const { db, clock, tasks } = parts;
  const wish = call.body['os-reimage'];
  const row = await seenVolume(parts, call);
  const reserved = wish.reimage_reserved === undefined ? false : readFlag('reimage_reserved', wish.reimage_reserved);
  if (reserved) call.allow({ project_id: row.project_id }, 'volume:reimage_reserved');
  const source = await fromImage(parts, call, wish.image_id);
  mustHold(row.size, source);
  const allowed = reserved ? ['available', 'error', 'reserved'] : ['available', 'error'];
  const now = clock.now();
  const task = await db.transaction(async (tx) => {
    const locked = await lockVolume(tx, row.uuid, now);
    if (!locked) throw volumeNotFound({ id: row.uuid });
    if (!allowed.includes(locked.status))
      throw volumeInvalid({
        why: `Volume ${row.uuid} status must be ${allowed.join(' or ')} to be re-imaged, but the current status is ${locked.status}.`,
      });
    const back = locked.status === 'reserved' ? 'reserved' : 'available';
    await moveVolume(tx, row.uuid, 'any', { status: 'downloading', previous_status: back, updated_at: now });
    const servers = (await attachmentsOf(tx, [row.uuid])).flatMap((one) => one.server_uuid ?? []);
    return tasks.add(tx, { kind: 'reimage-volume', target: row.uuid, image: wish.image_id, metadata: source.imageMetadata, servers });
  });
  tasks.begin(task);
  return { status: 202 };
}
