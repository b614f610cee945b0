import { imageUnusable } from '../../model/errors-hypervisor.ts';
import type { GuestSpec } from '../driver.ts';
import type { GuestDisk } from './disks.ts';
import type { GuestPaths } from './guest-paths.ts';
import type { NetworkPlan, NicPlan } from './network-plan.ts';

export interface CommandLineParts {
  readonly spec: GuestSpec;
  readonly paths: GuestPaths;
  readonly disks: readonly GuestDisk[];
  readonly kernel: { readonly file: string; readonly initrd: string | null } | null;
  readonly network: NetworkPlan;
  readonly acceleration: 'kvm' | 'tcg';
  readonly forwards: readonly { readonly guestPort: number; readonly hostAddress: string; readonly hostPort: number }[];
}

const DISK_DEVICES: Readonly<Record<string, (drive: string, more: string) => readonly string[]>> = {
  virtio: (drive, more) => ['-device', `virtio-blk-pci,drive=${drive}${more}`],
  scsi: (drive, more) => ['-device', `scsi-hd,bus=scsi0.0,drive=${drive}${more}`],
  ide: (drive, more) => ['-device', `ide-hd,drive=${drive}${more}`],
  sata: (drive, more) => ['-device', `ide-hd,drive=${drive}${more}`],
};
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
  const choose = <T>(property: string, table: Readonly<Record<string, T>>, usual: string): T => {
    const wish = spec.imageProperties[property] ?? usual;
    const found = Object.hasOwn(table, wish) ? table[wish] : undefined;
    if (found === undefined) throw unusable(`${property}=${wish} is not one of ${Object.keys(table).join(', ')} on this host`);
    return found;
  };
  const machine = spec.imageProperties.hw_machine_type ?? 'pc';
  if (!/^(pc|q35)(-[a-z0-9.-]+)?$/.test(machine)) throw unusable(`hw_machine_type=${machine} is neither of the family pc nor q35`);
  // Without a bound each emulator takes about 800 MiB for translated code. 64 MiB hold a small guest's boot; with 32 some of it is
  // translated again and again, which costs about an eighth of the time to the login prompt.
  const accel = acceleration === 'kvm' ? 'kvm' : `tcg,tb-size=${spec.memoryMiB > 512 ? 128 : 64}`;

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
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=agent0,name=org.qemu.guest_agent.0'],
    ...['-object', 'rng-random,id=rng0,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=rng0'],
    ...['-device', 'virtio-balloon-pci'],
    ...kernelArgs(parts),
    ...diskArgs(parts.disks, choose('hw_disk_bus', DISK_DEVICES, 'virtio'), spec.imageProperties.hw_disk_bus ?? 'virtio'),
    ...parts.network.nics.flatMap((nic, i) => nicArgs(nic, i, choose('hw_vif_model', NIC_MODELS, 'virtio'), parts)),
  ];
}

/** What QEMU may not ask of the kernel. Metadata needs a child process in a session of its own, which the last two forbid. */
function sandbox({ network }: CommandLineParts): string {
  const child = network.nics.some((nic) => nic.ipv4?.metadata);
  return `on,obsolete=deny,resourcecontrol=deny${child ? '' : ',elevateprivileges=deny,spawn=deny'}`;
}

function kernelArgs({ kernel, spec }: CommandLineParts): string[] {
  if (!kernel) return [];
  const append = spec.kernelCommandLine ?? '';
  return ['-kernel', kernel.file, ...(kernel.initrd ? ['-initrd', kernel.initrd] : []), ...(append ? ['-append', append] : [])];
}

function diskArgs(disks: readonly GuestDisk[], device: (drive: string, more: string) => readonly string[], bus: string): string[] {
  return [
    ...(bus === 'scsi' ? ['-device', 'virtio-scsi-pci,id=scsi0'] : []),
    ...disks.flatMap((disk, i) => {
      const drive = `if=none,id=disk${i},file=${comma(disk.file)},format=${disk.format},${disk.readOnly ? 'readonly=on' : 'discard=unmap'}`;
      const cd = disk.readOnly && bus !== 'virtio'; // the config drive: a disk to virtio guests, a CD-ROM to all others
      const order = disk.readOnly ? '' : `,bootindex=${i + 1}`;
      return ['-drive', drive, ...(cd ? ['-device', `ide-cd,drive=disk${i}`] : device(`disk${i}`, order))];
    }),
  ];
}

function nicArgs(nic: NicPlan, index: number, model: string, { spec, forwards }: CommandLineParts): string[] {
  const { ipv4 } = nic;
  const netdev = ['user', `id=net${index}`, 'restrict=on', 'ipv6=off'];
  if (ipv4 === null) netdev.push('ipv4=off');
  else {
    netdev.push(`net=${ipv4.net}`, `host=${ipv4.router}`, `dhcpstart=${ipv4.address}`, `dns=${ipv4.nameServer}`);
    if (ipv4.forwards) for (const f of forwards) netdev.push(`hostfwd=tcp:${f.hostAddress}:${f.hostPort}-${ipv4.address}:${f.guestPort}`);
    if (ipv4.metadata && spec.metadataSocket !== null) {
      netdev.push(comma(`guestfwd=tcp:169.254.169.254:80-cmd:socat - ${shellWord(`UNIX-CONNECT:${socatWord(spec.metadataSocket)}`)}`));
    }
  }
  return ['-netdev', netdev.join(','), '-device', `${model},netdev=net${index},mac=${nic.mac}`];
}

/** In QEMU's option lists a comma inside a value is written twice. */
const comma = (text: string) => text.replaceAll(',', ',,');
/** socat takes `,` `:` `!` and quotes of an address as its own unless they are escaped. */
const socatWord = (text: string) => text.replace(/[\\,:!"'([{]/g, '\\$&');
/** The command of a guestfwd is split into words as a shell does it. */
const shellWord = (text: string) => (/^[\w:/.@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
