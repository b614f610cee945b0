import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Database } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { seedImage } from '../../services/image/seed-image.ts';
import type { TinyImage } from '../tiny.ts';

interface Store {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly storeDir: string;
  readonly ownerProjectId: string;
}

/** On fake hosts a small image is enough for every client to work with, and it is there at once. With QEMU the real one takes its place when built. */
export async function seedPlaceholder(store: Store, hypervisor: 'qemu' | 'fake'): Promise<void> {
  if (hypervisor === 'qemu' && (await hasTiny(store))) return;
  const bytes = new TextEncoder().encode('A placeholder: only a fake hypervisor boots this.\n'.padEnd(512, '\0'));
  await seedImage({
    ...store,
    name: 'tiny',
    source: { bytes },
    diskFormat: 'raw',
    properties: { kilonova_placeholder: 'true' },
    minMemoryMiB: 0,
    minDiskGiB: 0,
  });
}

async function hasTiny({ db, ownerProjectId }: Store): Promise<boolean> {
  const { seededImages } = await import('../../db/tables/image/images.ts');
  const seeded = await seededImages(db.read, 'tiny', ownerProjectId);
  return seeded.some(({ image }) => image.properties.kilonova_placeholder === undefined);
}

/** The tiny guest with its kernel and ramdisk, public. It boots directly by them, and from its own disk too. */
export async function seedBootImages(store: Store, tiny: TinyImage): Promise<void> {
  const kernel = await seedImage({ ...store, name: 'tiny-kernel', source: { file: tiny.kernel }, diskFormat: 'aki', older: 'hide' });
  const ramdisk = await seedImage({ ...store, name: 'tiny-ramdisk', source: { file: tiny.initrd }, diskFormat: 'ari', older: 'hide' });
  await seedImage({
    ...store,
    name: 'tiny',
    source: { file: tiny.disk },
    diskFormat: 'qcow2',
    properties: {
      kernel_id: kernel.id,
      ramdisk_id: ramdisk.id,
      os_command_line: tiny.commandLine,
      os_distro: 'kilonova-tiny',
      architecture: 'x86_64',
    },
    minMemoryMiB: 96,
  });
}

/** Any qcow2 of the user's, public, under its file's name. Throws an Error with a sentence when the file is not there. */
export async function seedUserImage(store: Store, file: string): Promise<void> {
  if (!existsSync(file)) throw new Error(`The image ${file} does not exist.`);
  await seedImage({ ...store, name: basename(file).replace(/\.(qcow2|img)$/, ''), source: { file }, diskFormat: 'qcow2' });
}
