import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serverFolder } from './private-server.ts';

const MOUNT = 'mount -t tmpfs -o "size=$1m,mode=0755" none "$2"';
/** Lives in the namespace, and so keeps it, for as long as process $3 lives. */
const KEEP = '{ tail --pid="$3" -f /dev/null >/dev/null 2>&1 & echo $!; }';

/** A file system in memory of so many MiB, for tests that fill it (`requires('small-disk')`). Root mounts it; others do so in a namespace of
 *  their own and reach it by a link of /proc. Programs that resolve such a link (SQLite, MariaDB, a guest's QEMU) lose their way there: tests
 *  that start them on it are root's (`requires('mount')`).
 *  `fill` takes all that is left, `empty` gives it back; `resize` takes no less than is used. */
export function smallDisk(mib: number): {
  dir: string;
  /** The file that takes the room. */
  ballast: string;
  fill: () => void;
  empty: () => void;
  resize: (mib: number) => void;
  remove: () => void;
} {
  const place = join(serverFolder('disk'), 'small');
  mkdirSync(place);
  const isRoot = process.getuid?.() === 0;
  const how = isRoot ? ['sh', '-c', MOUNT] : ['unshare', '-Urm', 'sh', '-c', `${MOUNT} && ${KEEP}`];
  const run = ([program = '', ...args]: readonly string[]) => execFileSync(program, args, { encoding: 'utf8' }).trim();
  const keeper = run([...how, 'sh', String(mib), place, String(process.pid)]);
  const inside = isRoot ? [] : ['nsenter', '-t', keeper, '-U', '-m', '--preserve-credentials'];
  const dir = isRoot ? place : `/proc/${keeper}/root${place}`;
  const unmount = () => void run(isRoot ? ['umount', '-l', place] : ['kill', keeper]);
  process.prependListener('exit', unmount); // before the folder is removed
  const ballast = join(dir, 'ballast');
  return {
    dir,
    ballast,
    fill() {
      for (const block of [1024 * 1024, 4096]) {
        try {
          for (;;) writeFileSync(ballast, Buffer.alloc(block), { flag: 'a' });
        } catch {
          // full
        }
      }
    },
    resize: (size) => void run([...inside, 'mount', '-o', `remount,size=${size}m`, place]),
    empty: () => writeFileSync(ballast, ''),
    remove() {
      process.off('exit', unmount);
      unmount();
      rmSync(dirname(place), { recursive: true, force: true });
    },
  };
}
