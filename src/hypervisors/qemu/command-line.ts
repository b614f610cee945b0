import { imageUnusable } from '../../model/errors-hypervisor.ts';
import type { GuestSpec, GuestVolume } from '../driver.ts';
import type { GuestDisk } from './disks.ts';
import type { GuestPaths } from './guest-paths.ts';
import type { NetworkPlan, NicPlan } from './network-plan.ts';
import { bootVolume, fixedPlace, machineOf, portArgs, type Slot, slotPlace } from './slots.ts';
import { volumeDisk } from './volume-disk.ts';

export interface CommandLineParts {
  readonly spec: GuestSpec;
  readonly paths: GuestPaths;
  readonly disks: readonly GuestDisk[];
  readonly kernel: { readonly file: string; readonly initrd: string | null; readonly append: string } | null;
  readonly network: NetworkPlan;
  readonly slots: readonly Slot[];
  readonly acceleration: 'kvm' | 'tcg';
  readonly forwards: readonly Forward[];
  /** It waits for the memory of a guest that ran elsewhere or before. */
  readonly incoming?: boolean;
}
export interface Forward {
  readonly guestPort: number;
  readonly hostAddress: string;
  readonly hostPort: number;
}
/** A device as QEMU's -device and device_add take it. */
export type Device = Readonly<Record<string, string>> & { readonly driver: string };

const DISK_BUSES = ['virtio', 'scsi', 'ide', 'sata'];
const NIC_MODELS: Readonly<Record<string, string>> = {
  virtio: 'virtio-net-pci',
  e1000: 'e1000',
  e1000e: 'e1000e',
  rtl8139: 'rtl8139',
  ne2k_pci: 'ne2k_pci',
  pcnet: 'pcnet',
};
const VIDEO_MODELS: Readonly<Record<string, string>> = { vga: 'std', cirrus: 'cirrus', virtio: 'virtio', none: 'none' };

/** QEMU's arguments for one guest. Pure: what it names must exist when QEMU starts. Throws imageUnusable for image properties it cannot honour. */
export function commandLine(parts: CommandLineParts): string[] {
  const { spec, paths, acceleration } = parts;
  const unusable = (why: string) => imageUnusable({ id: spec.image?.id ?? spec.uuid, why });
  const choose = <T>(property: string, table: Readonly<Record<string, T>>, usual: string) => chosen(spec, property, table, usual);
  const machine = machineOf(spec);
  if (!/^(pc|q35)(-[a-z0-9.-]+)?$/.test(machine)) throw unusable(`hw_machine_type=${machine} is neither of the family pc nor q35`);
  const bus = choose('hw_disk_bus', Object.fromEntries(DISK_BUSES.map((one) => [one, one])), 'virtio');
  const model = nicModel(spec);
  // Without a bound each emulator takes about 800 MiB for translated code. 64 MiB hold a small guest's boot; with 32 some of it is
  // translated again and again, which costs about an eighth of the time to the login prompt.
  const accel = acceleration === 'kvm' ? 'kvm' : `tcg,tb-size=${spec.memoryMiB > 512 ? 128 : 64}`;

  const place = (driver: string, name: string, more: Record<string, string> = {}) =>
    device({ driver, ...more, ...fixedPlace(machine, name) });

  return [
    ...['-name', `guest=${comma(spec.name)},debug-threads=on`, '-uuid', spec.uuid],
    ...['-no-user-config', '-nodefaults', '-sandbox', sandbox(parts)],
    ...['-machine', machine, '-accel', accel, '-cpu', acceleration === 'kvm' ? 'host' : 'max'],
    ...[
      '-m',
      String(spec.memoryMiB),
      '-smp',
      String(spec.vcpus),
      '-rtc',
      spec.imageProperties.os_type === 'windows' ? 'base=localtime' : 'base=utc',
    ],
    // by these words guests' set-up programs know that an OpenStack metadata service is near
    ...['-smbios', `type=1,manufacturer=Kilonova,product=OpenStack Compute,serial=${spec.uuid},uuid=${spec.uuid},family=Virtual Machine`],
    ...['-pidfile', paths.pidFile, '-qmp', `unix:${comma(paths.qmpSocket)},server=on,wait=off`],
    ...[
      '-chardev',
      `socket,id=serial0,path=${comma(paths.serialSocket)},server=on,wait=off,logfile=${comma(paths.consoleLog)},logappend=on`,
    ],
    ...['-serial', 'chardev:serial0'],
    ...['-vga', choose('hw_video_model', VIDEO_MODELS, 'vga'), '-vnc', `unix:${comma(paths.vncSocket)}`],
    ...['-chardev', `socket,id=agent0,path=${comma(paths.agentSocket)},server=on,wait=off`],
    ...place('virtio-serial-pci', 'serial'),
    ...['-device', 'virtserialport,chardev=agent0,name=org.qemu.guest_agent.0'],
    ...['-object', 'rng-random,id=rng0,filename=/dev/urandom', ...place('virtio-rng-pci', 'rng', { rng: 'rng0' })],
    ...place('virtio-balloon-pci', 'balloon'),
    ...portArgs(machine),
    ...kernelArgs(parts),
    ...(bus === 'scsi' || spec.volumes.some((volume) => volume.bus === 'scsi') ? place('virtio-scsi-pci', 'scsi', { id: 'scsi0' }) : []),
    ...parts.disks.flatMap((disk, i) => diskArgs(parts, disk, i, bus)),
    ...bootVolumeArgs(parts),
    ...netdevArgs(parts),
    ...parts.slots.flatMap((slot) => (slot.kind === 'nic' ? nicArgs(parts, slot, model) : slotVolumeArgs(parts, slot))),
    ...(parts.incoming ? ['-S', '-incoming', 'defer'] : []),
  ];
}

function chosen<T>(spec: GuestSpec, property: string, table: Readonly<Record<string, T>>, usual: string): T {
  const wish = spec.imageProperties[property] ?? usual;
  const found = Object.hasOwn(table, wish) ? table[wish] : undefined;
  if (found !== undefined) return found;
  const why = `${property}=${wish} is not one of ${Object.keys(table).join(', ')} on this host`;
  throw imageUnusable({ id: spec.image?.id ?? spec.uuid, why });
}
/** Throws imageUnusable. */
export const nicModel = (spec: GuestSpec) => chosen(spec, 'hw_vif_model', NIC_MODELS, 'virtio');

/** What QEMU may not ask of the kernel. Metadata needs a child process in a session of its own, which the last two forbid. */
function sandbox({ network }: CommandLineParts): string {
  return `on,obsolete=deny,resourcecontrol=deny${mayFork(network) ? '' : ',elevateprivileges=deny,spawn=deny'}`;
}
/** Whether a guest that starts with this network may have metadata. */
export const mayFork = (network: NetworkPlan) => network.nics.some((nic) => nic.ipv4?.metadata);

function kernelArgs({ kernel }: CommandLineParts): string[] {
  if (!kernel) return [];
  const { file, initrd, append } = kernel;
  return ['-kernel', file, ...(initrd ? ['-initrd', initrd] : []), ...(append ? ['-append', append] : [])];
}

const device = ({ driver, ...more }: Device) => [
  '-device',
  [driver, ...Object.entries(more).map(([key, value]) => `${key}=${comma(value)}`)].join(','),
];

/** A disk on its bus: virtio ones have a place of their own, SCSI ones a number on their controller, the others come in their order. */
export function diskDevice(
  bus: string,
  drive: string,
  where: Record<string, string>,
  scsiId: number,
  more: Record<string, string> = {},
): Device {
  if (bus === 'virtio') return { driver: 'virtio-blk-pci', drive, ...more, ...where };
  if (bus === 'scsi') return { driver: 'scsi-hd', bus: 'scsi0.0', 'scsi-id': String(scsiId), drive, ...more };
  return { driver: 'ide-hd', drive, ...more };
}

const BOOT_ORDER: Readonly<Record<string, number>> = { 'disk.rescue': 1, 'disk.rescue.stable': 1, disk: 2, 'disk.eph0': 3, 'disk.swap': 4 };
/** SCSI numbers of slots begin behind those of the guest's own disks. */
const SCSI_FIRST_SLOT = 20;

function diskArgs({ spec }: CommandLineParts, disk: GuestDisk, index: number, usual: string): string[] {
  const bus = disk.bus ?? usual;
  const drive = `if=none,id=disk${index},node-name=node${index},file=${comma(disk.file)},format=${disk.format},${disk.readOnly ? 'readonly=on' : 'discard=unmap'}`;
  const cd = disk.readOnly && bus !== 'virtio'; // the config drive: a disk to virtio guests, a CD-ROM to all others
  const order = BOOT_ORDER[disk.place];
  const more = order === undefined ? {} : { bootindex: String(order) };
  const made: Device = cd
    ? { driver: 'ide-cd', drive: `disk${index}` }
    : diskDevice(bus, `disk${index}`, fixedPlace(machineOf(spec), disk.place), index, more);
  return ['-drive', drive, ...device(made)];
}

/** The drive behind a volume, in the words of -drive and drive_add. */
export function volumeDrive(spec: GuestSpec, volume: GuestVolume, id: string): string {
  const disk = volumeDisk(spec, volume);
  return `if=none,id=${id},file=${comma(disk.file)},format=${disk.format},${disk.readOnly ? 'readonly=on' : 'discard=unmap'}`;
}
/** The device of a volume in a slot. */
export function volumeDevice(spec: GuestSpec, volume: GuestVolume, slot: number): Device {
  const id = `vol${slot}`;
  return diskDevice(volumeDisk(spec, volume).bus, id, slotPlace(machineOf(spec), slot), SCSI_FIRST_SLOT + slot, {
    id: `${id}-device`,
    ...volumeWords(spec, volume),
  });
}
/** Guests find a volume by the first 20 signs of its id. */
const volumeWords = (spec: GuestSpec, volume: GuestVolume): Record<string, string> => ({
  serial: volume.volumeId.slice(0, 20),
  ...(volumeDisk(spec, volume).shared ? { 'share-rw': 'on' } : {}),
});

function bootVolumeArgs({ spec }: CommandLineParts): string[] {
  const volume = bootVolume(spec);
  if (!volume) return [];
  const { bus } = volumeDisk(spec, volume);
  const more = { id: 'volboot-device', bootindex: '2', ...volumeWords(spec, volume) };
  return [
    '-drive',
    volumeDrive(spec, volume, 'volboot'),
    ...device(diskDevice(bus, 'volboot', fixedPlace(machineOf(spec), 'disk'), 1, more)),
  ];
}
function slotVolumeArgs({ spec }: CommandLineParts, { slot, id, deadBytes }: Slot): string[] {
  const volume = spec.volumes.find((one) => one.volumeId === id);
  if (volume && deadBytes === undefined) {
    const boot = volume.bootIndex === null || volume.bootIndex < 0 ? {} : { bootindex: String(10 + volume.bootIndex) };
    return ['-drive', volumeDrive(spec, volume, `vol${slot}`), ...device({ ...volumeDevice(spec, volume, slot), ...boot })];
  }
  const drive = `if=none,id=vol${slot},driver=null-co,size=${deadBytes ?? 0}`;
  return [
    '-drive',
    drive,
    ...device({ driver: 'virtio-blk-pci', id: `vol${slot}-device`, drive: `vol${slot}`, ...slotPlace(machineOf(spec), slot) }),
  ];
}

/** How a card is connected, in the words of netdev_add; lists stand for what may come more than once. */
export function netdev(
  nic: NicPlan,
  slot: number,
  metadataSocket: string | null,
  forwards: readonly Forward[],
): Record<string, string | number | boolean | readonly string[]> {
  const { ipv4 } = nic;
  if (ipv4 === null) return { type: 'hubport', hubid: slot }; // alone on a hub of its own
  const metadata = ipv4.metadata && metadataSocket !== null;
  const ports = ipv4.forwards ? forwards.map((f) => `tcp:${f.hostAddress}:${f.hostPort}-${ipv4.address}:${f.guestPort}`) : [];
  return {
    type: 'user',
    restrict: true,
    ipv6: false,
    ...{ net: ipv4.net, host: ipv4.router, dhcpstart: ipv4.address, dns: ipv4.nameServer },
    ...(ports.length > 0 ? { hostfwd: ports } : {}),
    ...(metadata ? { guestfwd: [`tcp:169.254.169.254:80-cmd:socat - ${shellWord(`UNIX-CONNECT:${socatWord(metadataSocket)}`)}`] } : {}),
  };
}

/** Every user network in the order of its number, and gaps filled, so that the numbers come out the same; then the cards without one. */
function netdevArgs({ spec, slots, network, forwards }: CommandLineParts): string[] {
  const cards = slots.filter((slot) => slot.kind === 'nic' && slot.deadBytes === undefined);
  const last = Math.max(-1, ...cards.map((slot) => slot.net ?? -1));
  const numbered = Array.from({ length: last + 1 }, (_none, net) => cards.find((slot) => slot.net === net) ?? net);
  return [...numbered, ...cards.filter((slot) => slot.net === undefined)].flatMap((card) => {
    const plan = typeof card === 'number' ? undefined : network.nics[spec.nics.findIndex((nic) => nic.portId === card.id)];
    if (typeof card === 'number' || !plan)
      return ['-netdev', `user,id=gap${typeof card === 'number' ? card : card.net},restrict=on,ipv6=off`];
    const { type, ...more } = netdev(plan, card.slot, spec.metadataSocket, forwards);
    const words = Object.entries(more).flatMap(([key, value]) =>
      typeof value === 'object' ? value.map((one) => `${key}=${comma(one)}`) : `${key}=${onOff(value)}`,
    );
    return ['-netdev', [type, `id=net${card.slot}`, ...words].join(',')];
  });
}
const onOff = (value: string | number | boolean) => (typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value));

/** The device of a card in a slot. */
export const nicDevice = (spec: GuestSpec, mac: string, slot: number): Device => ({
  driver: nicModel(spec),
  id: `nic${slot}-device`,
  netdev: `net${slot}`,
  mac,
  ...slotPlace(machineOf(spec), slot),
});
function nicArgs({ spec }: CommandLineParts, { slot, id, deadBytes }: Slot, model: string): string[] {
  const nic = spec.nics.find((one) => one.portId === id);
  if (nic && deadBytes === undefined) return device(nicDevice(spec, nic.mac, slot));
  return device({ driver: model, id: `nic${slot}-device`, ...slotPlace(machineOf(spec), slot) });
}

/** In QEMU's option lists a comma inside a value is written twice. */
const comma = (text: string) => text.replaceAll(',', ',,');
/** socat takes `,` `:` `!` and quotes of an address as its own unless they are escaped. */
const socatWord = (text: string) => text.replace(/[\\,:!"'([{]/g, '\\$&');
/** The command of a guestfwd is split into words as a shell does it. */
const shellWord = (text: string) => (/^[\w:/.@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
