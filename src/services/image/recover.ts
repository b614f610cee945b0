import { deleteImage } from '../../db/tables/image/images.ts';
import type { ImageParts } from './find-image.ts';

/** Puts right what a killed process left: uploads that were under way are undone, data of deleted images goes. Data of images the database
 *  does not know is left alone and named in the log: the directory may belong to another database. Run before anything is served. */
export async function recoverImages({ db, clock, log, store }: Omit<ImageParts, 'maxImageBytes'>): Promise<void> {
  const { ids, parts } = await store.found();
  for (const name of parts) await store.removePart(name);
  const now = clock.now();
  const saving = await db.read
    .selectFrom('images')
    .select(['uuid', 'seeded'])
    .where('status', '=', 'saving')
    .where('deleted', '=', 0)
    .execute();
  for (const { uuid, seeded } of saving) {
    await store.remove(uuid);
    await db.transaction(async (tx) => {
      if (seeded === 1)
        await deleteImage(tx, uuid, now); // nobody waits for it: the next start seeds it anew
      else
        await tx
          .updateTable('images')
          .set({ status: 'queued', upload: null, updated_at: now })
          .where('uuid', '=', uuid)
          .where('status', '=', 'saving')
          .execute();
    });
    log.info({ image: uuid }, 'an upload was interrupted by the end of the process; nothing of it was kept');
  }
  for (const id of ids) {
    const row = await db.read.selectFrom('images').select(['status', 'deleted']).where('uuid', '=', id).executeTakeFirst();
    if (!row) log.warn({ image: id }, 'there is image data that no image in the database has; it was left alone');
    else if (row.deleted === 1 || row.status === 'queued') await store.remove(id);
  }
}
