import { Readable } from 'node:stream';
import { byteProgress, countBytes } from '../byte-progress.ts';
import { createPhases } from '../phases.ts';
import type { Deed } from './deed.ts';

/** The root disk into an image that exists; the copy on this host goes whatever happens. */
export const snapshot: Deed<'snapshot'> = {
  on: 'guest',
  async run({ parts, guest, signal, told, moved }, { imageId }) {
    const { clock, image, driver } = parts;
    const phases = createPhases(clock);
    told('image_pending_upload');
    const copying = byteProgress(clock, moved);
    const copy = await phases.run(
      'copy',
      () => driver.snapshot(guest.uuid, signal, copying),
      ({ sizeBytes }) => `${sizeBytes} bytes`,
    );
    try {
      told('image_uploading');
      signal.throwIfAborted();
      const uploading = byteProgress(clock, moved);
      await phases.run('upload', async () => {
        const counted = countBytes(await copy.open(), (sent) => uploading(sent, copy.sizeBytes));
        const data = Readable.from(counted, { objectMode: false });
        await image.upload(imageId, { diskFormat: copy.diskFormat, data });
      });
    } finally {
      await copy.discard();
    }
    return { result: { sizeBytes: copy.sizeBytes }, phases: phases.done };
  },
};
