import type { Deed } from './deed.ts';

/** The root disk into an image that exists; the copy on this host goes whatever happens. */
export const snapshot: Deed<'snapshot'> = {
  on: 'guest',
  async run({ parts, guest, signal, told }, { imageId }) {
    const { clock, image, driver } = parts;
    told('image_pending_upload');
    const startedAt = clock.now();
    const copy = await driver.snapshot(guest.uuid, signal);
    const copied = clock.now();
    try {
      told('image_uploading');
      signal.throwIfAborted();
      await image.upload(imageId, { diskFormat: copy.diskFormat, data: await copy.open() });
    } finally {
      await copy.discard();
    }
    const phases = [
      { name: 'copy', startedAt, finishedAt: copied, details: `${copy.sizeBytes} bytes` },
      { name: 'upload', startedAt: copied, finishedAt: clock.now(), details: null },
    ];
    return { result: { sizeBytes: copy.sizeBytes }, phases };
  },
};
