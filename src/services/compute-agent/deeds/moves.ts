import type { BuildCommand } from '../../../bus/contracts/compute-agent.ts';
import type { DeedArgs } from '../../../bus/contracts/guest-deeds.ts';
import type { GuestSpec, MoveOffer } from '../../../hypervisors/driver.ts';
import { claimRefused } from '../../../model/errors-conductor.ts';
import { guestNotFound, imageUnusable } from '../../../model/errors-hypervisor.ts';
import { bootImage, commandAmounts, nicOf, plainGuest, relayGuest } from '../build-guest.ts';
import { byteProgress, fetchTold } from '../byte-progress.ts';
import { HELD } from '../journal.ts';
import type { AgentParts } from '../parts.ts';
import { createPhases } from '../phases.ts';
import type { ResourceTracker } from '../resource-tracker.ts';
import type { Deed, DeedAt } from './deed.ts';

// A guest goes from host to host. What a host has of a guest that is not (yet, or any more) its own is kept until the conductor says how the move ended.

export const leaveHost: Deed<'leaveHost'> = {
  on: 'guest',
  async run({ parts, guest }, { graceMs }) {
    const { driver, relay } = parts;
    if ((await driver.guest(guest.uuid)) !== undefined) await driver.powerOff(guest.uuid, graceMs);
    await driver.destroy(guest.uuid);
    await relay?.close(guest.uuid);
    const offer = await driver.offerDisks(guest.uuid);
    return { result: { offer: { ...offer } }, power: 'shutdown', entry: { state: 'parked', until: HELD } };
  },
};

export const arrive: Deed<'arrive'> = {
  on: 'host',
  async run(at, args) {
    const { parts, command, entry, tracker, signal } = at;
    const { disks, offer, imageId, start } = args;
    const { driver } = parts;
    const { uuid, epoch } = command;
    mustBeNewer(at);
    if (disks === 'here') tracker.release(uuid);
    else if (entry?.epoch !== epoch) await clear(parts, tracker, uuid); // of an earlier stay
    const amounts = commandAmounts(wholeOf(at, args));
    const phases = createPhases(parts.clock);
    try {
      const short = tracker.claim(uuid, amounts);
      if (short !== null) throw claimRefused({ why: short });
      let guest = await dressed(at, args);
      if (disks === 'offered')
        await phases.run('copy', () => copyDisks(driver, guest, offer ?? {}, signal, byteProgress(parts.clock, at.moved)), bytesOf);
      if (disks === 'fresh') {
        const ref = imageId === null ? guest.image : await shelvedImage(parts, imageId);
        guest = { ...guest, image: ref };
        if (ref) await phases.run('image', () => fetchTold(parts, ref, signal, at.moved), fetched);
        await phases.run('disk', () => driver.createDisks(guest, byteProgress(parts.clock, at.moved)));
      } else await phases.run('resize', () => driver.resizeDisks(guest));
      signal.throwIfAborted();
      guest = await related(parts, guest);
      if (start) await phases.run('spawn', () => driver.spawn(guest));
      return {
        result: {},
        phases: phases.done,
        power: start ? 'running' : 'shutdown',
        networkInfo: args.ports,
        guest,
        entry: { state: 'built', epoch, amounts, until: command.deadline },
      };
    } catch (cause) {
      if (disks !== 'here') await clear(parts, tracker, uuid);
      else {
        await driver.destroy(uuid);
        await parts.relay?.close(uuid);
        tracker.release(uuid);
        if (entry) tracker.claim(uuid, entry.amounts);
      }
      throw cause;
    }
  },
};

export const dropGuest: Deed<'dropGuest'> = {
  on: 'host',
  async run({ parts, command, entry, tracker }) {
    if (entry && entry.epoch > command.epoch) return { result: {} }; // another stay, of which this order knows nothing
    await clear(parts, tracker, command.uuid);
    return { result: {}, entry: 'gone' };
  },
};

export const prepareIncoming: Deed<'prepareIncoming'> = {
  on: 'host',
  async run(at, args) {
    const { parts, command, entry, tracker } = at;
    const { uuid, epoch, deadline } = command;
    mustBeNewer(at);
    if (entry?.epoch !== epoch) await clear(parts, tracker, uuid);
    const amounts = commandAmounts(wholeOf(at, args));
    try {
      const short = tracker.claim(uuid, amounts);
      if (short !== null) throw claimRefused({ why: short });
      const guest = await related(parts, await dressed(at, args));
      await imageFirst(at, guest);
      const offer = await parts.driver.prepareIncoming(guest);
      return { result: { offer: { ...offer } }, guest, entry: { state: 'built', epoch, amounts, until: deadline } };
    } catch (cause) {
      await clear(parts, tracker, uuid);
      throw cause;
    }
  },
};

/** With the image here only what the guest wrote above it has to come. An image that cannot be had any more comes with the disk, as one. */
async function imageFirst({ parts, signal, moved }: DeedAt, { image: ref, uuid }: GuestSpec): Promise<void> {
  if (!ref) return;
  await fetchTold(parts, ref, signal, moved).catch((cause) =>
    parts.log.info({ err: cause, server: uuid, image: ref.id }, 'a guest is on its way whose image cannot be had: its disk comes whole'),
  );
  signal.throwIfAborted();
}

export const migrateLive: Deed<'migrateLive'> = {
  on: 'guest',
  async run({ parts, guest, signal, moved, turnToLeave }, { offer }) {
    const phases = createPhases(parts.clock);
    const left = await turnToLeave();
    try {
      signal.throwIfAborted();
      await phases.run('migrate', () => parts.driver.migrateLive(guest.uuid, offer, signal, moved));
    } finally {
      left();
    }
    await parts.relay?.close(guest.uuid);
    return { result: {}, phases: phases.done, entry: { state: 'parked', until: HELD } };
  },
};

export const claimIncoming: Deed<'claimIncoming'> = {
  on: 'host',
  async run({ parts, command, entry }) {
    if (entry && entry.epoch !== command.epoch) return { result: { here: 'none' } };
    return { result: { here: await parts.driver.claimIncoming(command.uuid) } };
  },
};

export const finishIncoming: Deed<'finishIncoming'> = {
  on: 'guest',
  async run({ parts, guest }, { paused }) {
    const here = await parts.driver.guest(guest.uuid);
    if (!here) throw guestNotFound({ uuid: guest.uuid });
    if (!paused && here.power === 'paused') await parts.driver.unpause(guest.uuid);
    return { result: {}, power: paused ? 'paused' : 'running' };
  },
};

/** Brings disks here and answers how many bytes they were. */
async function copyDisks(
  driver: AgentParts['driver'],
  guest: GuestSpec,
  offer: MoveOffer,
  signal: AbortSignal,
  told: (done: number, total: number) => void,
): Promise<number> {
  let bytes = 0;
  await driver.fetchDisks(guest, offer, signal, ({ diskTotal, diskProcessed }) => {
    bytes = diskTotal;
    told(diskProcessed, diskTotal);
  });
  return bytes;
}
const bytesOf = (bytes: number) => `${bytes} bytes`;
const fetched = ({ cached }: { readonly cached: boolean }) => (cached ? 'cached' : 'fetched');

/** An order of an older move than the guest that stands here came by. */
function mustBeNewer({ entry, command }: DeedAt): void {
  if (entry && entry.epoch > command.epoch) throw guestNotFound({ uuid: command.uuid });
}

const wholeOf = ({ command }: DeedAt, { guest, networks, configDrive, instance }: DeedArgs<'prepareIncoming'>): BuildCommand => {
  const { jobUuid, uuid, epoch, deadline } = command;
  return { jobUuid, uuid, epoch, deadline, guest: { ...guest, epoch }, networks, configDrive, instance };
};

/** The guest with what only this host can add: its network cards, boot images and config drive. */
async function dressed(at: DeedAt, args: DeedArgs<'prepareIncoming'>): Promise<GuestSpec> {
  const { parts, signal } = at;
  const whole = wholeOf(at, args);
  const kernel = await bootImage(parts, whole.guest.imageProperties.kernel_id);
  const ramdisk = await bootImage(parts, whole.guest.imageProperties.ramdisk_id);
  for (const ref of [kernel, ramdisk]) if (ref) await fetchTold(parts, ref, signal, at.moved);
  const configDrive = whole.configDrive && parts.configDrive ? await parts.configDrive(whole, args.ports) : null;
  return { ...plainGuest(whole), kernel, ramdisk, configDrive, nics: args.ports.map(nicOf) };
}

/** The guest with its socket for metadata opened. */
const related = async ({ relay }: AgentParts, guest: GuestSpec): Promise<GuestSpec> =>
  relay ? { ...guest, metadataSocket: await relay.open(relayGuest(guest)) } : guest;

/** The image a shelved server waited in. Throws imageUnusable. */
async function shelvedImage({ image }: AgentParts, id: string): Promise<NonNullable<GuestSpec['image']>> {
  const { sizeBytes, hashAlgo, hashValue, diskFormat } = await image.show(id);
  if (sizeBytes === null || hashAlgo === null || hashValue === null) throw imageUnusable({ id, why: 'it has no data' });
  return { id, diskFormat: diskFormat === 'qcow2' ? 'qcow2' : 'raw', sizeBytes, hashAlgo, hashValue };
}

async function clear(parts: AgentParts, tracker: ResourceTracker, uuid: string): Promise<void> {
  const { driver, relay } = parts;
  await driver.withdrawDisks(uuid);
  await driver.destroy(uuid);
  await relay?.close(uuid);
  await driver.removeDisks(uuid);
  tracker.release(uuid);
}
