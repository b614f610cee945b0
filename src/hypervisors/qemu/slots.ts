import { deedUnsupported } from '../../model/errors-hypervisor.ts';
import type { GuestSpec, GuestVolume } from '../driver.ts';

/** Where a card or a volume sits in a guest's machine. Guests see devices by their place, and memory that was written to a file or sent
 *  to another host fits only a machine that has the same devices in the same places: so each place is chosen by us, and written down. */
export interface Slot {
  /** 0 to SLOTS - 1. Names and addresses of the device follow from it. */
  readonly slot: number;
  readonly kind: 'nic' | 'volume';
  /** Of the port or the volume. */
  readonly id: string;
  /** Cards with an address: the number under which QEMU saves their user network, one above the highest there was when it was made. */
  readonly net?: number;
  /** The guest did not let go of it in time: the device is there until the guest is off, and leads nowhere. Volumes: with this size. */
  readonly deadBytes?: number;
}
export const SLOTS = 19;

/** What has the same place in every machine, by name of its disk; volumes the guest boots from take the root disk's. */
const FIXED = { serial: 3, rng: 4, balloon: 5, scsi: 6, 'disk.rescue': 7, disk: 8, 'disk.eph0': 9, 'disk.swap': 10 } as const;
const FIRST_SLOT = 11;
/** The config drive comes behind the volumes, so that those have the letters that users are told. */
const CONFIG = 30;
const LAST = 31;

export const isQ35 = (machine: string) => /^(q35|pc-q35)/.test(machine);
export const machineOf = (spec: Pick<GuestSpec, 'imageProperties' | 'extraSpecs'>): string =>
  spec.imageProperties.hw_machine_type ??
  ((spec.extraSpecs['os:secure_boot'] ?? spec.imageProperties.os_secure_boot) === 'required' ? 'q35' : 'pc');

/** Bus and address of a device with a place of its own. */
export function fixedPlace(machine: string, name: string): Record<string, string> {
  const stable = name === 'disk.rescue.stable';
  const [, more] = /^disk\.eph([1-7])$/.exec(name) ?? []; // further ephemeral disks are functions of the first one's place
  if (more !== undefined) return { bus: isQ35(machine) ? 'pcie.0' : 'pci.0', addr: `${hex(FIXED['disk.eph0'])}.${more}` };
  const number = stable ? LAST : name.startsWith('disk.config') ? CONFIG : (FIXED[name as keyof typeof FIXED] ?? LAST); // names are ours
  if (!isQ35(machine)) return { bus: 'pci.0', addr: hex(number) };
  return { bus: 'pcie.0', addr: hex(number === LAST ? 27 : number === CONFIG ? 26 : number) }; // 31 is the chipset's own there
}

/** Bus and address of a device that not every machine has: a function of the serial controller's place. */
export const extraPlace = (machine: string, number: number): Record<string, string> => ({
  bus: isQ35(machine) ? 'pcie.0' : 'pci.0',
  addr: `${hex(FIXED.serial)}.${number}`,
});

/** Bus and address of a slot: PCI Express takes devices out only from ports of their own. */
export const slotPlace = (machine: string, slot: number): Record<string, string> =>
  isQ35(machine) ? { bus: `port${slot}` } : { bus: 'pci.0', addr: hex(FIRST_SLOT + slot) };

/** The ports of a PCI Express machine; nothing for others. */
export function portArgs(machine: string): string[] {
  if (!isQ35(machine)) return [];
  return Array.from({ length: SLOTS }, (_none, slot) => [
    '-device',
    `pcie-root-port,id=port${slot},chassis=${slot + 1},bus=pcie.0,multifunction=on,addr=${hex(FIRST_SLOT + Math.floor(slot / 8))}.${slot % 8}`,
  ]).flat();
}

const hex = (value: number) => `0x${value.toString(16)}`;

/** The volume the guest boots from, where it has no disk of its own. */
export const bootVolume = (spec: Pick<GuestSpec, 'image' | 'volumes'>): GuestVolume | undefined =>
  spec.image === null ? spec.volumes.find((volume) => volume.bootIndex === 0) : undefined;

/** Places for a guest that starts afresh: cards first, then volumes, in their order. Throws deedUnsupported when there are too few. */
export function freshSlots(spec: Pick<GuestSpec, 'image' | 'nics' | 'volumes'>): Slot[] {
  const boot = bootVolume(spec);
  let slots: Slot[] = [];
  for (const nic of spec.nics) slots = [...slots, nextSlot(slots, 'nic', nic.portId, nic.addresses.length > 0)];
  for (const volume of spec.volumes) if (volume !== boot) slots = [...slots, nextSlot(slots, 'volume', volume.volumeId)];
  return slots;
}

/** The next free place. Throws deedUnsupported. */
export function nextSlot(slots: readonly Slot[], kind: Slot['kind'], id: string, addressed = false): Slot {
  const taken = new Set(slots.map((one) => one.slot));
  const slot = Array.from({ length: SLOTS }, (_none, at) => at).find((at) => !taken.has(at));
  if (slot === undefined) {
    throw deedUnsupported({
      deed: `plug in a ${kind === 'nic' ? 'network card' : 'volume'}`,
      why: `the machine has ${SLOTS} places and all are taken`,
    });
  }
  return !addressed ? { slot, kind, id } : { slot, kind, id, net: Math.max(-1, ...slots.map((one) => one.net ?? -1)) + 1 };
}
