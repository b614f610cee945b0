import { createReadStream } from 'node:fs';
import type { Database } from '../../db/engine.ts';
import { deleteImage, insertImage, type KeyedImage, seededImages, updateImage } from '../../db/tables/image/images.ts';
import type { Clock } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { imageGoneInUpload } from '../../model/errors-image.ts';
import type { DiskFormat, Image, Visibility } from '../../model/image.ts';
import { finish } from './image-data.ts';
import { freshImage } from './images.ts';
import { type ImageStore, openImageStore, type WrittenData } from './store.ts';

export interface SeedOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  /** The image app's own; seed when that app has been created, in the same process. */
  readonly storeDir: string;
  readonly ownerProjectId: string;
  readonly name: string;
  /** Path of the data, or the data. */
  readonly source: { readonly file: string } | { readonly bytes: Uint8Array };
  readonly diskFormat: DiskFormat;
  /** Default: 'bare', or the disk format for aki, ari and ami. */
  readonly containerFormat?: string;
  readonly properties?: Readonly<Record<string, string>>;
  /** Default 'public'. */
  readonly visibility?: Visibility;
  readonly minDiskGiB?: number;
  readonly minMemoryMiB?: number;
  readonly hidden?: boolean;
  /** What becomes of an older seed of the same name: 'remove' (default), or 'hide', where servers may still point at it. */
  readonly older?: 'remove' | 'hide';
}

/** Sees to it that the project has an active image of that name with that data. When it has, only properties that differ are set; otherwise
 *  one is added, and only when it is active are older seeds of the same name taken away (a placeholder, an older build). Images that users made
 *  are never touched. Answers the image's id. Throws what an upload throws, and then nothing is left of it. */
export async function seedImage(options: SeedOptions): Promise<{ id: string; fresh: boolean }> {
  const { db, clock, log } = options;
  const store = await openImageStore(options.storeDir);
  const image = wantedImage(options);
  const upload = newUuid();
  const written = await store.write(image.id, upload, bytesOf(options), { format: options.diskFormat, maxBytes: Number.MAX_SAFE_INTEGER });
  const present = await seededImages(db.read, options.name, options.ownerProjectId);
  const same = present.find((old) => isSame(old.image, image, written));
  if (same) {
    await store.remove(image.id, upload);
    const properties = { ...same.image.properties, ...image.properties };
    const differs = Object.entries(image.properties).some(([name, value]) => same.image.properties[name] !== value);
    const now = clock.now();
    if (differs) await db.transaction((tx) => updateImage(tx, same.key, { ...same.image, properties, updatedAt: now }));
    return { id: same.image.id, fresh: false };
  }
  await db.transaction((tx) => insertImage(tx, { ...image, status: 'saving' }, { upload, seeded: true }));
  try {
    await store.publish(image.id, upload);
    if (!(await finish({ db, clock }, image.id, upload, written))) throw imageGoneInUpload({ id: image.id });
  } catch (cause) {
    await store.remove(image.id);
    const now = clock.now();
    await db.transaction((tx) => deleteImage(tx, image.id, now));
    throw cause;
  }
  for (const old of present) await retire(options, old, store);
  log.info({ image: image.id, name: options.name, replaced: present.map((old) => old.image.id) }, 'image seeded');
  return { id: image.id, fresh: true };
}

function wantedImage(options: SeedOptions): Image {
  const { diskFormat } = options;
  return {
    ...freshImage(options.clock.now()),
    name: options.name,
    owner: options.ownerProjectId,
    visibility: options.visibility ?? 'public',
    diskFormat,
    containerFormat:
      options.containerFormat ?? (diskFormat === 'aki' || diskFormat === 'ari' || diskFormat === 'ami' ? diskFormat : 'bare'),
    properties: options.properties ?? {},
    minDiskGiB: options.minDiskGiB ?? 0,
    minMemoryMiB: options.minMemoryMiB ?? 0,
    hidden: options.hidden ?? false,
  };
}

async function* bytesOf({ source }: SeedOptions): AsyncIterable<Uint8Array> {
  if ('file' in source) yield* createReadStream(source.file, { highWaterMark: 1 << 20 });
  else yield source.bytes;
}

const isSame = (old: Image, image: Image, written: WrittenData) =>
  old.status === 'active' && old.diskFormat === image.diskFormat && old.hashValue === written.hashValue;

async function retire({ db, clock, older }: SeedOptions, old: KeyedImage, store: ImageStore): Promise<void> {
  const now = clock.now();
  if (older === 'hide' && old.image.status !== 'saving') {
    await db.transaction((tx) => updateImage(tx, old.key, { ...old.image, hidden: true, updatedAt: now }));
    return;
  }
  await db.transaction((tx) => deleteImage(tx, old.image.id, now));
  await store.remove(old.image.id);
}
