import { createReadStream } from 'node:fs';
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newSecret } from '../../lib/ids.ts';
import { deedUnsupported, guestNotFound, hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { DiskSnapshot } from '../driver.ts';
import { dropJob, dropNode, JOB, jobReaches } from './block-jobs.ts';
import { type GuestDisk, SNAPSHOT_PREFIX } from './disks.ts';
import { guestPaths } from './guest-paths.ts';
import { describeImage } from './image-cache.ts';
import { isUp } from './live-guests.ts';
import { lineTo, type QemuHands } from './power-deeds.ts';
import { runProgram, withDiskSpace } from './programs.ts';
import type { Qmp } from './qmp.ts';

/** A snapshot of a big disk takes its time; it is not a hung program. */
const CONVERT_MS = 6 * 3600 * 1000;

/** Copies the root disk into one whole image, of the disk's own form unless the host names another. Of a running guest by QEMU itself, as the disk was at the moment of the call. */
export const createSnapshot =
  ({ live, must, onGuest }: QemuHands) =>
  (uuid: string, signal: AbortSignal, progress: (done: number, total: number) => void = () => {}): Promise<DiskSnapshot> =>
    onGuest(uuid, async (hurry) => {
      const guest = must(uuid);
      const { spec, disks } = guest.record;
      if (!spec.image) throw deedUnsupported({ deed: 'snapshot', why: 'the guest has no disk of its own, only volumes' });
      const index = disks.findIndex((disk) => disk.place === 'disk');
      const root = disks[index];
      if (!root) throw guestNotFound({ uuid });
      const { folder, format = null } = live.snapshots;
      const diskFormat = format ?? root.format;
      const file = join(folder ?? guestPaths(live.stateDir, uuid).folder, `${SNAPSHOT_PREFIX}${folder ? `${uuid}.` : ''}${newSecret(6)}`);
      const both = AbortSignal.any([signal, hurry]);
      both.throwIfAborted();
      try {
        await writeFile(file, '', { mode: 0o600, flag: 'wx' }); // the folder may be one that others see
        if (isUp(guest)) await copyRunning(lineTo(guest, 'be copied'), `disk${index}`, { file, format: diskFormat, progress }, both);
        else await copyStopped(root, { file, format: diskFormat, progress }, both);
        both.throwIfAborted();
      } catch (cause) {
        await rm(file, { force: true });
        throw withDiskSpace(both.aborted ? both.reason : cause, `a snapshot of ${uuid} was made`);
      }
      const { size } = await stat(file);
      return { diskFormat, sizeBytes: size, open: async () => createReadStream(file), discard: () => rm(file, { force: true }) };
    });

interface Copy {
  readonly file: string;
  readonly format: 'qcow2' | 'raw';
  readonly progress: (done: number, total: number) => void;
}
async function copyStopped(root: Pick<GuestDisk, 'file' | 'format'>, { file, format, progress }: Copy, signal: AbortSignal) {
  const { 'virtual-size': total } = await describeImage(root.file, root.format);
  await runProgram('qemu-img', ['convert', '-p', '-f', root.format, '-O', format, root.file, file], {
    signal,
    timeoutMs: CONVERT_MS,
    progress: (part) => progress(Math.round(part * total), total),
  });
}
async function copyRunning(qmp: Qmp, drive: string, { file, format, progress }: Copy, signal: AbortSignal) {
  const node = `${JOB}copy`;
  const size = await sizeOfDrive(qmp, drive);
  await runProgram('qemu-img', ['create', '-q', '-f', format, file, String(size)], { signal });
  try {
    await qmp.command('blockdev-add', {
      driver: format,
      'node-name': node,
      'detect-zeroes': 'unmap',
      discard: 'unmap',
      file: { driver: 'file', filename: file, discard: 'unmap' },
    });
    await qmp.command('blockdev-backup', { 'job-id': node, device: drive, target: node, sync: 'full', 'auto-dismiss': false });
    await jobReaches(qmp, node, 'concluded', signal, progress);
  } finally {
    await dropJob(qmp, node);
    await dropNode(qmp, node);
  }
}

/** Size of a drive as QEMU has it now, in bytes. */
export async function sizeOfDrive(qmp: Qmp, drive: string): Promise<number> {
  const all = (await qmp.command('query-block')) as { device: string; inserted?: { image: { 'virtual-size': number } } }[]; // QEMU's own form
  const size = all.find((one) => one.device === drive)?.inserted?.image['virtual-size'];
  if (size === undefined) throw hypervisorFailed({ why: `the emulator has no drive ${drive}` });
  return size;
}
