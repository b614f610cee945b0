import { deedUnsupported, hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { Driver, GuestNic, GuestSpec } from '../driver.ts';
import { netdev, nicDevice, volumeDevice, volumeDrive } from './command-line.ts';
import { chooseForwards, isUp, type LiveGuest } from './live-guests.ts';
import { planNetwork } from './network-plan.ts';
import { lineTo, type QemuHands } from './power-deeds.ts';
import type { Qmp } from './qmp.ts';
import { bootVolume, nextSlot, type Slot } from './slots.ts';
import { sizeOfDrive } from './snapshot.ts';
import { dropSwapNodes } from './swap-volume.ts';
import { mustHaveVolume } from './volume-disk.ts';
import { giveSecret, takeSecret } from './volume-secrets.ts';

type PlugDeeds = Pick<Driver, 'attachNic' | 'detachNic' | 'attachVolume' | 'detachVolume' | 'extendVolume'>;
const GiB = 1024 ** 3;

/** Devices of a guest that come and go while it runs. Whether it is plugged in is told by the record, which is written before the machine is
 *  changed and after it was; the emulator is asked when that is in doubt. */
export function createPlugDeeds({ live, must, onGuest, unplugMs }: QemuHands): PlugDeeds {
  /** The guest, with its line when its machine stands. */
  const look = (uuid: string, deed: string) => {
    const guest = must(uuid);
    if (guest.record.power === 'suspended' && !guest.record.process) {
      throw hypervisorFailed({ why: `a guest that is suspended cannot ${deed}: its memory fits only the machine it was in` });
    }
    return { guest, qmp: isUp(guest) ? lineTo(guest, deed) : undefined };
  };
  const slotOf = (guest: LiveGuest, kind: Slot['kind'], id: string) =>
    guest.record.slots.find((slot) => slot.kind === kind && slot.id === id && slot.deadBytes === undefined);
  const putSlots = (guest: LiveGuest, spec: GuestSpec, slots: readonly Slot[]) => live.record(guest, { spec, slots });
  const without = (guest: LiveGuest, slot: number) => guest.record.slots.filter((one) => one.slot !== slot);

  /** Asks the guest to let go of a device; true when it did within its time. */
  const released = async (qmp: Qmp, id: string): Promise<boolean> => {
    const there = async () => (await devicesOf(qmp)).has(id);
    if (!(await there())) return true;
    const gone = Promise.withResolvers<boolean>();
    const leave = qmp.onEvent(({ event, data }) => {
      if (event === 'DEVICE_DELETED' && data.device === id) gone.resolve(true);
    });
    const timer = setTimeout(() => gone.resolve(false), unplugMs);
    const again = setInterval(() => void qmp.command('device_del', { id }).catch(() => undefined), Math.max(500, unplugMs / 4)); // a guest in its boot hears nothing yet
    void qmp.closed.then(() => gone.resolve(true)); // a machine that is gone holds nothing
    try {
      await qmp.command('device_del', { id }).catch((cause: unknown) => {
        if (!/in the process of unplug|pending/i.test(String(cause))) throw cause;
      });
      return (await gone.promise) || !(await there());
    } finally {
      clearTimeout(timer);
      clearInterval(again);
      leave();
    }
  };
  /** A device that was cut off and is let go of at last frees its place. */
  const freeWhenGone = (guest: LiveGuest, qmp: Qmp, slot: Slot) => {
    const leave = qmp.onEvent(({ event, data }) => {
      if (event !== 'DEVICE_DELETED' || data.device !== deviceId(slot)) return;
      leave();
      guest.record = { ...guest.record, slots: without(guest, slot.slot) };
    });
  };

  return {
    attachVolume: (spec, volume) =>
      onGuest(spec.uuid, async () => {
        const { guest, qmp } = look(spec.uuid, 'take a volume');
        const disk = await mustHaveVolume(spec, volume);
        if (!['virtio', 'scsi', 'ide', 'sata'].includes(disk.bus))
          throw deedUnsupported({ deed: 'plug in a volume', why: `bus ${disk.bus} is not known here` });
        if (!qmp) return putSlots(guest, spec, guest.record.slots);
        if (bootVolume(spec)?.volumeId === volume.volumeId && bootVolume(guest.record.spec)?.volumeId === volume.volumeId)
          return putSlots(guest, spec, guest.record.slots);
        if (disk.bus === 'ide' || disk.bus === 'sata')
          throw deedUnsupported({ deed: 'plug in a volume', why: `a running machine takes none on its ${disk.bus} bus` });
        if (disk.bus === 'scsi' && !(await devicesOf(qmp)).has('scsi0'))
          throw deedUnsupported({ deed: 'plug in a volume', why: 'the machine was started without a SCSI controller' });
        const known = slotOf(guest, 'volume', volume.volumeId);
        if (known && (await devicesOf(qmp)).has(deviceId(known))) return putSlots(guest, spec, guest.record.slots);
        const slot = known ?? nextSlot(guest.record.slots, 'volume', volume.volumeId);
        const before = { spec: guest.record.spec, slots: guest.record.slots.filter((one) => one !== known) };
        await putSlots(guest, spec, [...before.slots, slot]);
        const drive = `vol${slot.slot}`;
        try {
          await monitor(qmp, `drive_del ${drive}`); // of a try that was cut short; says no when there is none
          await giveSecret(qmp, spec, volume.volumeId, live.secretOf);
          const said = await monitor(qmp, `drive_add 0 ${quoted(volumeDrive(spec, volume, drive))}`);
          if (said !== 'OK') throw hypervisorFailed({ why: `volume ${volume.volumeId} cannot be opened: ${said}` });
          await qmp.command('device_add', volumeDevice(spec, volume, slot.slot));
        } catch (cause) {
          await monitor(qmp, `drive_del ${drive}`).catch(() => undefined);
          await takeSecret(qmp, volume.volumeId);
          await putSlots(guest, before.spec, before.slots);
          throw cause;
        }
      }),

    detachVolume: (spec, volumeId) =>
      onGuest(spec.uuid, async () => {
        const { guest, qmp } = look(spec.uuid, 'give a volume back');
        if (qmp && bootVolume(guest.record.spec)?.volumeId === volumeId)
          throw deedUnsupported({ deed: 'unplug a volume', why: 'the guest runs from it' });
        const slot = slotOf(guest, 'volume', volumeId);
        if (!qmp || !slot) return putSlots(guest, spec, guest.record.slots);
        const size = await sizeOfDrive(qmp, `vol${slot.slot}`).catch(() => 0);
        if (await released(qmp, deviceId(slot))) {
          await monitor(qmp, `drive_del vol${slot.slot}`).catch(() => undefined); // gone with its device, if all went well
          await dropSwapNodes(qmp, `vol${slot.slot}`).catch(() => undefined); // a machine that is gone has none
          await takeSecret(qmp, volumeId);
          return putSlots(guest, spec, without(guest, slot.slot));
        }
        const cut = await monitor(qmp, `drive_del vol${slot.slot}`);
        if (cut !== '') throw hypervisorFailed({ why: `volume ${volumeId} cannot be taken away: ${cut}` });
        await dropSwapNodes(qmp, `vol${slot.slot}`);
        await takeSecret(qmp, volumeId);
        freeWhenGone(guest, qmp, slot);
        await putSlots(guest, spec, [...without(guest, slot.slot), { ...slot, deadBytes: size }]);
      }),

    extendVolume: (spec, volumeId, sizeGiB) =>
      onGuest(spec.uuid, async () => {
        const { guest, qmp } = look(spec.uuid, 'see its volume grow');
        if (!spec.volumes.some((volume) => volume.volumeId === volumeId))
          throw hypervisorFailed({ why: `guest ${spec.uuid} has no volume ${volumeId}` });
        const boot = bootVolume(guest.record.spec)?.volumeId === volumeId;
        const slot = slotOf(guest, 'volume', volumeId);
        if (qmp && (boot || slot)) {
          const device = boot ? 'volboot' : `vol${slot?.slot}`;
          if ((await sizeOfDrive(qmp, device)) <= sizeGiB * GiB) await qmp.command('block_resize', { device, size: sizeGiB * GiB });
        }
        await putSlots(guest, spec, guest.record.slots);
      }),

    attachNic: (spec, nic) =>
      onGuest(spec.uuid, async () => {
        const { guest, qmp } = look(spec.uuid, 'take a network card');
        const plan = planNetwork(spec).nics[spec.nics.findIndex((one) => one.portId === nic.portId)];
        if (!plan) throw hypervisorFailed({ why: `port ${nic.portId} is not one of the guest's` });
        if (!qmp) return putSlots(guest, spec, guest.record.slots);
        const known = slotOf(guest, 'nic', nic.portId);
        if (known && (await devicesOf(qmp)).has(deviceId(known))) return putSlots(guest, spec, guest.record.slots);
        await plugNic(guest, qmp, spec, nic, plan, known);
      }),

    detachNic: (spec, portId) =>
      onGuest(spec.uuid, async () => {
        const { guest, qmp } = look(spec.uuid, 'give a network card back');
        const slot = slotOf(guest, 'nic', portId);
        if (!qmp || !slot) return putSlots(guest, spec, guest.record.slots);
        const gone = await released(qmp, deviceId(slot));
        await qmp.command('netdev_del', { id: `net${slot.slot}` }).catch(() => undefined); // it may be gone since a try before
        if (!gone) freeWhenGone(guest, qmp, slot);
        await putSlots(guest, spec, [...without(guest, slot.slot), ...(gone ? [] : [{ ...slot, deadBytes: 0 }])]);
        const forwards = planNetwork(spec).nics.some((one) => one.ipv4?.forwards) ? guest.record.forwards : [];
        await live.record(guest, { forwards });
      }),
  };

  async function plugNic(
    guest: LiveGuest,
    qmp: Qmp,
    spec: GuestSpec,
    nic: GuestNic,
    plan: NonNullable<ReturnType<typeof planNetwork>['nics'][number]>,
    known: Slot | undefined,
  ) {
    const slot = known ?? nextSlot(guest.record.slots, 'nic', nic.portId, plan.ipv4 !== null);
    const before = { spec: guest.record.spec, slots: guest.record.slots.filter((one) => one !== known) };
    const forwards = plan.ipv4?.forwards ? await chooseForwards([]) : guest.record.forwards;
    const metadata = guest.record.forks ? spec.metadataSocket : null; // its sandbox lets it start no program
    await putSlots(guest, spec, [...before.slots, slot]);
    const id = `net${slot.slot}`;
    const wrapped = Object.entries(netdev(plan, slot.slot, metadata, forwards)).map(([key, value]) => [
      key,
      typeof value === 'object' ? value.map((str) => ({ str })) : value,
    ]);
    try {
      await qmp.command('netdev_del', { id }).catch(() => undefined); // of a try that was cut short
      await qmp.command('netdev_add', { id, ...Object.fromEntries(wrapped) });
      await qmp.command('device_add', nicDevice(spec, nic.mac, slot.slot));
    } catch (cause) {
      await qmp.command('netdev_del', { id }).catch(() => undefined);
      await putSlots(guest, before.spec, before.slots);
      throw cause;
    }
    await live.record(guest, { forwards });
  }
}

const deviceId = (slot: Slot) => `${slot.kind === 'nic' ? 'nic' : 'vol'}${slot.slot}-device`;

/** Ids of the devices that can be taken out. */
async function devicesOf(qmp: Qmp): Promise<Set<string>> {
  const listed = (await qmp.command('qom-list', { path: '/machine/peripheral' })) as { name: string }[]; // QEMU's own form
  return new Set(listed.map((one) => one.name));
}

/** A command of QEMU's human monitor: only that one can cut a drive off below a device that the guest holds on to. Answers what it says. */
async function monitor(qmp: Qmp, line: string): Promise<string> {
  return String(await qmp.command('human-monitor-command', { 'command-line': line })).trim();
}
const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`;
