import { newSecret } from '../../lib/ids.ts';
import { deedUnsupported, hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { Driver, GuestSpec, GuestVolume } from '../driver.ts';
import { dropJob, dropNode, JOB, jobReaches } from './block-jobs.ts';
import { isUp, type LiveGuest } from './live-guests.ts';
import { lineTo, type QemuHands } from './power-deeds.ts';
import { runProgram, withDiskSpace } from './programs.ts';
import type { Qmp } from './qmp.ts';
import { bootVolume } from './slots.ts';
import { sizeOfDrive } from './snapshot.ts';
import { mustHaveVolume, type VolumeDisk, volumeDisk } from './volume-disk.ts';

const COPY_MS = 24 * 3600_000;
/** From when both are the same to when the guest has the new one. */
const PIVOT_MS = 60_000;
/** Prefix of the nodes that stand for volumes swapped in at a place: they are not part of their drive, and outlive it. */
const fileNode = (node: string) => `${node}-file`;
/** QEMU's names have at most 31 signs. */
const swapNodes = (drive: string) => `${JOB}${drive}-`;

/** Another volume in the place of one that a guest has. Which of the two it has now is asked of the emulator, by file: neither a record that was not
 *  written in time nor an id that both go by can be wrong about that. */
export const createSwapVolume =
  ({ live, must, onGuest }: QemuHands): Driver['swapVolume'] =>
  (spec, oldVolumeId, volume) =>
    onGuest(spec.uuid, async (hurry) => {
      const guest = must(spec.uuid);
      const target = await mustHaveVolume(spec, volume);
      const { volumes } = guest.record.spec;
      const old = volumes.find((one) => one.volumeId === oldVolumeId) ?? volumes.find((one) => one.volumeId === volume.volumeId);
      if (!old) throw hypervisorFailed({ why: `guest ${spec.uuid} has no volume ${oldVolumeId}` });
      if (target.encrypted || volumeDisk(guest.record.spec, old).encrypted)
        throw deedUnsupported({ deed: 'swap a volume', why: 'one of the two is encrypted' });
      if (target.readOnly) throw deedUnsupported({ deed: 'swap a volume', why: `volume ${volume.volumeId} may only be read` });
      if (isUp(guest)) await swapRunning(guest, old, volume, target, hurry);
      else if (guest.record.power === 'suspended') throw hypervisorFailed({ why: 'a suspended guest cannot swap volumes' });
      else await copyBetween(volumeDisk(guest.record.spec, old), target, hurry);
      const slots = guest.record.slots.map((slot) =>
        slot.kind === 'volume' && slot.id === old.volumeId && slot.deadBytes === undefined ? { ...slot, id: volume.volumeId } : slot,
      );
      await live.record(guest, { spec, slots });
    });

async function swapRunning(guest: LiveGuest, old: GuestVolume, volume: GuestVolume, target: VolumeDisk, signal: AbortSignal) {
  const qmp = lineTo(guest, 'swap a volume');
  const drive = driveOf(guest.record.spec, guest, old.volumeId);
  if (drive === undefined) throw hypervisorFailed({ why: `volume ${old.volumeId} is not plugged in` });
  if ((await fileOfDrive(qmp, drive)) === target.file) return;
  const job = `${JOB}swap-${drive}`;
  const node = `${swapNodes(drive)}${newSecret(3)}`;
  await dropJob(qmp, job); // of a try that was cut short
  const file = { driver: 'file', 'node-name': fileNode(node), filename: target.file, discard: 'unmap' };
  const image = { driver: target.format, 'node-name': `${node}-image`, discard: 'unmap', 'detect-zeroes': 'unmap', file };
  const layer = { driver: 'raw', 'node-name': node, discard: 'unmap' };
  try {
    // A mirror wants both sides of one size: a larger volume shows so much of itself until the guest has it.
    await qmp.command('blockdev-add', { ...layer, size: await sizeOfDrive(qmp, drive), file: image });
    await qmp.command('blockdev-mirror', {
      'job-id': job,
      device: drive,
      target: node,
      sync: 'full',
      'copy-mode': 'write-blocking',
      'auto-dismiss': false,
    });
    await jobReaches(qmp, job, 'ready', AbortSignal.any([signal, AbortSignal.timeout(COPY_MS)]));
    await qmp.command('block-job-complete', { device: job });
    await jobReaches(qmp, job, 'concluded', AbortSignal.timeout(PIVOT_MS));
    await dropJob(qmp, job);
  } catch (cause) {
    await dropJob(qmp, job).catch(() => undefined);
    if ((await fileOfDrive(qmp, drive).catch(() => undefined)) !== target.file) {
      await dropNode(qmp, node);
      throw withDiskSpace(signal.aborted ? signal.reason : cause, `volume ${volume.volumeId} took the place of ${old.volumeId}`);
    }
  }
  await dropSwapNodes(qmp, drive); // of the volume that was swapped in before
  await qmp.command('blockdev-reopen', { options: [{ ...layer, file: `${node}-image` }] });
  await qmp.command('block_resize', { device: drive, size: await sizeOfDrive(qmp, drive) }); // the guest looks again
}

/** Name of the drive behind a volume of a guest's machine. */
function driveOf(spec: GuestSpec, { record }: LiveGuest, volumeId: string): string | undefined {
  if (bootVolume(spec)?.volumeId === volumeId) return 'volboot';
  const slot = record.slots.find((one) => one.kind === 'volume' && one.id === volumeId && one.deadBytes === undefined);
  return slot && `vol${slot.slot}`;
}

type BlockNode = { readonly 'node-name': string; readonly file: string };
const nodesOf = async (qmp: Qmp) => (await qmp.command('query-named-block-nodes', { flat: true })) as BlockNode[]; // QEMU's own form

async function fileOfDrive(qmp: Qmp, drive: string): Promise<string | undefined> {
  const all = (await qmp.command('query-block')) as { device: string; inserted?: BlockNode }[]; // QEMU's own form
  const inserted = all.find((one) => one.device === drive)?.inserted;
  const swapped = inserted?.['node-name'].startsWith(swapNodes(drive));
  return swapped ? (await nodesOf(qmp)).find((one) => one['node-name'] === fileNode(inserted?.['node-name'] ?? ''))?.file : inserted?.file;
}

/** Lets go of volumes that were swapped in at a place and are not in use there any more; those in use stay. */
export async function dropSwapNodes(qmp: Qmp, drive: string): Promise<void> {
  for (const node of await nodesOf(qmp)) if (node['node-name'].startsWith(swapNodes(drive))) await dropNode(qmp, node['node-name']);
}

async function copyBetween(from: VolumeDisk, to: VolumeDisk, signal: AbortSignal): Promise<void> {
  if (from.file === to.file) return;
  const args = ['convert', '-n', '-f', from.format, '-O', to.format, from.file, to.file];
  await runProgram('qemu-img', args, { signal, timeoutMs: COPY_MS });
}
