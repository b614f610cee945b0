import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serverFolder } from './private-server.ts';

/** Why a small file system of our own cannot be had; false when it can. */
export const smallDiskSkip = (): string | false =>
  process.getuid?.() === 0 && process.platform === 'linux' ? false : 'a small file system can only be mounted by root on Linux';

/** A file system in memory of so many MiB, for tests that fill it. `fill` takes all that is left, `empty` gives it back; `resize` takes no less than is used. */
export function smallDisk(mib: number): {
  dir: string;
  fill: () => void;
  empty: () => void;
  resize: (mib: number) => void;
  remove: () => void;
} {
  const dir = join(serverFolder('disk'), 'small');
  mkdirSync(dir);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m,mode=0755`, 'none', dir]);
  if (mounted.status !== 0) throw new Error(`mount: ${mounted.stderr}`);
  const unmount = () => void spawnSync('umount', ['-l', dir]);
  process.prependListener('exit', unmount); // before the folder is removed
  const ballast = join(dir, 'ballast');
  return {
    dir,
    fill() {
      for (const block of [1024 * 1024, 4096]) {
        try {
          for (;;) writeFileSync(ballast, Buffer.alloc(block), { flag: 'a' });
        } catch {
          // full
        }
      }
    },
    resize(size) {
      const done = spawnSync('mount', ['-o', `remount,size=${size}m`, dir]);
      if (done.status !== 0) throw new Error(`mount: ${done.stderr}`);
    },
    empty: () => writeFileSync(ballast, ''),
    remove() {
      process.off('exit', unmount);
      unmount();
      rmSync(dirname(dir), { recursive: true, force: true });
    },
  };
}
