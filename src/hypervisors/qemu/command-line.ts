import type { GuestSpec, GuestVolume } from '../driver.ts';
import { diskLimits, volumeLimits } from './disk-limits.ts';
import type { GuestDisk } from './disks.ts';
import { type Firmware, firmwareArgs } from './firmware.ts';
import type { GuestPaths } from './guest-paths.ts';
import { cpuWords, machineDevices } from './machine-devices.ts';
import { memoryArgs, type PlacedMemory } from './memory-args.ts';
import type { NetworkPlan, NicPlan } from './network-plan.ts';
import { bootVolume, fixedPlace, machineOf, portArgs, type Slot, slotPlace } from './slots.ts';
import { tpmArgs, tpmOf } from './tpm.ts';
import { volumeDisk } from './volume-disk.ts';
import { secretArgs, secretId } from './volume-secrets.ts';
import { chosen, flagOf, unusable, wordOf } from './wishes.ts';

export interface CommandLineParts {
  readonly spec: GuestSpec;
  readonly paths: GuestPaths;
  readonly disks: readonly GuestDisk[];
  readonly kernel: { readonly file: string; readonly initrd: string | null; readonly append: string } | null;
  readonly network: NetworkPlan;
  readonly slots: readonly Slot[];
  readonly acceleration: 'kvm' | 'tcg';
  readonly forwards: readonly Forward[];
  /** Null: the BIOS. */
  readonly firmware?: Firmware | null;
  /** Null: one cell of small pages, wherever the host has room. */
  readonly memory?: PlacedMemory | null;
  /** Whether the host may ask for memory back. */
  readonly balloon?: boolean;
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

const DISK_BUSES = ['virtio', 'scsi', 'ide', 'sata', 'usb'];
const NIC_MODELS: Readonly<Record<string, string>> = {
  virtio: 'virtio-net-pci',
  e1000: 'e1000',
  e1000e: 'e1000e',
  rtl8139: 'rtl8139',
  ne2k_pci: 'ne2k_pci',
  pcnet: 'pcnet',
};

/** QEMU's arguments for one guest. Pure: what it names must exist when QEMU starts. Throws imageUnusable for image properties it cannot honour. */
export function commandLine(parts: CommandLineParts): string[] {
  const { spec, paths, acceleration, firmware = null, memory = null, balloon = true } = parts;
  const machine = machineOf(spec);
  if (!/^(pc|q35)(-[a-z0-9.-]+)?$/.test(machine)) throw unusable(spec, `hw_machine_type=${machine} is neither of the family pc nor q35`);
  const bus = chosen(spec, 'hw_disk_bus', Object.fromEntries(DISK_BUSES.map((one) => [one, one])), 'virtio');
  chosen(spec, 'hw_scsi_model', { 'virtio-scsi': true }, 'virtio-scsi');
  const model = nicModel(spec);
  // Without a bound each emulator takes about 800 MiB for translated code. 64 MiB hold a small guest's boot; with 32 some of it is
  // translated again and again, which costs about an eighth of the time to the login prompt.
  const accel = acceleration === 'kvm' ? 'kvm' : `tcg,tb-size=${spec.memoryMiB > 512 ? 128 : 64}`;
  const flash = firmwareArgs(firmware, paths);
  const own = machineDevices(spec, machine, balloon);
  const usb = own.usb || [bus, wordOf(spec, null, 'hw_cdrom_bus'), ...spec.volumes.map((volume) => volume.bus)].includes('usb');

  const place = (driver: string, name: string, more: Record<string, string> = {}) =>
    device({ driver, ...more, ...fixedPlace(machine, name) });

  return [
    ...['-name', `guest=${comma(spec.name)},debug-threads=on`, '-uuid', spec.uuid],
    ...['-no-user-config', '-nodefaults', '-sandbox', sandbox(parts)],
    ...['-machine', `${machine}${flash.machine}${hpet(spec)}`, '-accel', accel],
    ...['-cpu', `${acceleration === 'kvm' ? 'host' : 'max'}${cpuWords(spec, acceleration)}`],
    ...memoryArgs(spec, memory),
    ...['-rtc', spec.imageProperties.os_type === 'windows' ? 'base=localtime' : 'base=utc'],
    // by these words guests' set-up programs know that an OpenStack metadata service is near
    ...['-smbios', `type=1,manufacturer=Kilonova,product=OpenStack Compute,serial=${spec.uuid},uuid=${spec.uuid},family=Virtual Machine`],
    ...['-pidfile', paths.pidFile, '-qmp', `unix:${comma(paths.qmpSocket)},server=on,wait=off`],
    ...[
      '-chardev',
      `socket,id=serial0,path=${comma(paths.serialSocket)},server=on,wait=off,logfile=${comma(paths.consoleLog)},logappend=on`,
    ],
    ...['-serial', 'chardev:serial0', '-vnc', `unix:${comma(paths.vncSocket)}`],
    ...flash.args,
    ...['-chardev', `socket,id=agent0,path=${comma(paths.agentSocket)},server=on,wait=off`],
    ...place('virtio-serial-pci', 'serial', own.extras ? { multifunction: 'on' } : {}),
    ...['-device', 'virtserialport,chardev=agent0,name=org.qemu.guest_agent.0'],
    ...(usb ? ['-usb'] : []),
    ...own.args,
    ...own.devices.flatMap(device),
    ...tpmArgs(tpmOf(spec), paths),
    ...secretArgs(spec, paths),
    ...portArgs(machine),
    ...kernelArgs(parts),
    ...(wantsScsi(parts, bus) ? place('virtio-scsi-pci', 'scsi', { id: 'scsi0' }) : []),
    ...parts.disks.flatMap((disk, i) => diskArgs(parts, disk, i, bus)),
    ...bootVolumeArgs(parts),
    ...netdevArgs(parts),
    ...parts.slots.flatMap((slot) => (slot.kind === 'nic' ? nicArgs(parts, slot, model) : slotVolumeArgs(parts, slot))),
    ...(parts.incoming ? ['-S', '-incoming', 'defer'] : []),
  ];
}

const wantsScsi = ({ spec, disks }: CommandLineParts, bus: string) =>
  [bus, ...spec.volumes.map((volume) => volume.bus), ...disks.map((disk) => disk.bus)].includes('scsi') ||
  (wordOf(spec, null, 'hw_cdrom_bus') === 'scsi' && disks.some((disk) => disk.readOnly));
function hpet(spec: GuestSpec): string {
  const wish = flagOf(spec, null, 'hw_time_hpet');
  return wish === undefined ? '' : `,hpet=${wish ? 'on' : 'off'}`;
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
  if (bus === 'usb') return { driver: 'usb-storage', bus: 'usb-bus.0', drive, ...more };
  return { driver: 'ide-hd', drive, ...more };
}

const BOOT_ORDER: Readonly<Record<string, number>> = { 'disk.rescue': 1, 'disk.rescue.stable': 1, disk: 2, 'disk.eph0': 3, 'disk.swap': 4 };
/** SCSI numbers of slots begin behind those of the guest's own disks. */
const SCSI_FIRST_SLOT = 20;

function diskArgs({ spec, disks }: CommandLineParts, disk: GuestDisk, index: number, usual: string): string[] {
  const cdrom = disk.readOnly ? wordOf(spec, null, 'hw_cdrom_bus') : undefined;
  const bus = cdrom ?? disk.bus ?? usual;
  const how = disk.readOnly ? 'readonly=on' : `discard=unmap${diskLimits(spec)}`;
  const drive = `if=none,id=disk${index},node-name=node${index},file=${comma(disk.file)},format=${disk.format},${how}`;
  const order = BOOT_ORDER[disk.place];
  const more = order === undefined ? {} : { bootindex: String(order) };
  const where = fixedPlace(machineOf(spec), disk.place);
  const shares = disk.place === 'disk.eph0' && disks.some((other) => other.place === 'disk.eph1');
  return [
    '-drive',
    drive,
    ...device(
      disk.readOnly && bus !== 'virtio' // the config drive: a disk to virtio guests, a CD-ROM to all others
        ? cdDevice(bus, `disk${index}`, index)
        : diskDevice(bus, `disk${index}`, { ...where, ...(shares ? { multifunction: 'on' } : {}) }, index, more),
    ),
  ];
}
function cdDevice(bus: string, drive: string, scsiId: number): Device {
  if (bus === 'scsi') return { driver: 'scsi-cd', bus: 'scsi0.0', 'scsi-id': String(scsiId), drive };
  if (bus === 'usb') return { driver: 'usb-storage', bus: 'usb-bus.0', drive };
  return { driver: 'ide-cd', drive };
}

/** The drive behind a volume, in the words of -drive and drive_add. */
export function volumeDrive(spec: GuestSpec, volume: GuestVolume, id: string): string {
  const disk = volumeDisk(spec, volume);
  const format = disk.encrypted ? `format=luks,key-secret=${secretId(volume.volumeId)}` : `format=${disk.format}`;
  return `if=none,id=${id},file=${comma(disk.file)},${format},${disk.readOnly ? 'readonly=on' : 'discard=unmap'}${volumeLimits(spec, disk.qos) || diskLimits(spec)}`;
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
  ...packed(spec),
  id: `nic${slot}-device`,
  netdev: `net${slot}`,
  mac,
  ...slotPlace(machineOf(spec), slot),
});
const packed = (spec: GuestSpec): Record<string, string> =>
  nicModel(spec) === 'virtio-net-pci' && flagOf(spec, 'hw:virtio_packed_ring', 'hw_virtio_packed_ring') ? { packed: 'on' } : {};
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
