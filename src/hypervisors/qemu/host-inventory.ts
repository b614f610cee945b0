import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { cpus, loadavg, totalmem, uptime } from 'node:os';
import { uptimeLine } from '../../lib/uptime-line.ts';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { CpuInfo, HostInventory } from '../driver.ts';
import { findCpuGroups } from './cpu-group.ts';
import { type FirmwareFiles, findFirmware } from './firmware.ts';
import { instancesFolder } from './guest-paths.ts';
import { type CpuSets, readHostCells } from './host-cells.ts';
import { type LvmOptions, lvmRoom } from './lvm-backend.ts';
import { runProgram } from './programs.ts';
import { tpmTraits } from './tpm.ts';

const GiB = 1024 ** 3;
/** CPU flags as Linux names them, and the standard trait of each. */
const TRAIT_OF_FLAG: Readonly<Record<string, string>> = {
  sse: 'HW_CPU_X86_SSE',
  sse2: 'HW_CPU_X86_SSE2',
  ssse3: 'HW_CPU_X86_SSSE3',
  sse4_1: 'HW_CPU_X86_SSE41',
  sse4_2: 'HW_CPU_X86_SSE42',
  aes: 'HW_CPU_X86_AESNI',
  avx: 'HW_CPU_X86_AVX',
  avx2: 'HW_CPU_X86_AVX2',
  avx512f: 'HW_CPU_X86_AVX512F',
  bmi1: 'HW_CPU_X86_BMI',
  bmi2: 'HW_CPU_X86_BMI2',
  fma: 'HW_CPU_X86_FMA3',
  f16c: 'HW_CPU_X86_F16C',
};
/** What QEMU's own emulation has, whatever the host is. */
const TCG_FLAGS = ['sse', 'sse2', 'ssse3', 'sse4_1', 'sse4_2', 'aes'];
const TRAITS = [
  'COMPUTE_NODE',
  'COMPUTE_IMAGE_TYPE_AKI',
  'COMPUTE_IMAGE_TYPE_ARI',
  'COMPUTE_IMAGE_TYPE_QCOW2',
  'COMPUTE_IMAGE_TYPE_RAW',
  'COMPUTE_ADDRESS_SPACE_EMULATED',
  'COMPUTE_ARCH_X86_64',
  'COMPUTE_DEVICE_TAGGING',
  'COMPUTE_FIRMWARE_BIOS',
  'COMPUTE_NET_ATTACH_INTERFACE',
  'COMPUTE_NET_VIF_MODEL_E1000',
  'COMPUTE_NET_VIF_MODEL_E1000E',
  'COMPUTE_NET_VIF_MODEL_NE2K_PCI',
  'COMPUTE_NET_VIF_MODEL_PCNET',
  'COMPUTE_NET_VIF_MODEL_RTL8139',
  'COMPUTE_NET_VIF_MODEL_VIRTIO',
  'COMPUTE_NET_VIRTIO_PACKED',
  'COMPUTE_STORAGE_BUS_IDE',
  'COMPUTE_STORAGE_BUS_SATA',
  'COMPUTE_STORAGE_BUS_SCSI',
  'COMPUTE_STORAGE_BUS_USB',
  'COMPUTE_STORAGE_BUS_VIRTIO',
  'COMPUTE_VOLUME_EXTEND',
  'COMPUTE_VOLUME_MULTI_ATTACH',
  'COMPUTE_GRAPHICS_MODEL_CIRRUS',
  'COMPUTE_GRAPHICS_MODEL_NONE',
  'COMPUTE_GRAPHICS_MODEL_VGA',
  'COMPUTE_GRAPHICS_MODEL_VIRTIO',
  'COMPUTE_GRAPHICS_MODEL_VMVGA',
  'HW_ARCH_X86_64',
];
/** What firmware files make a host able to do. */
const firmwareTraits = ({ plain, secure }: FirmwareFiles) => [
  ...(plain ? ['COMPUTE_FIRMWARE_UEFI', 'COMPUTE_SECURITY_STATELESS_FIRMWARE'] : []),
  ...(secure ? ['COMPUTE_SECURITY_UEFI_SECURE_BOOT'] : []),
];

/** QEMU's version as text and as Nova's integer (7.2.22 is 7002022). Throws hypervisorFailed. */
export async function qemuVersion(): Promise<{ text: string; number: number }> {
  const said = await runProgram('qemu-system-x86_64', ['--version']);
  const [, major, minor, micro] = /version (\d+)\.(\d+)\.(\d+)/.exec(said) ?? [];
  if (major === undefined) throw hypervisorFailed({ why: `QEMU does not tell its version: ${said.split('\n')[0]}` });
  return { text: `${major}.${minor}.${micro}`, number: Number(major) * 1_000_000 + Number(minor) * 1000 + Number(micro) };
}

export async function readInventory(host: {
  hostname: string;
  stateDir: string;
  version: number;
  acceleration: 'kvm' | 'tcg';
  cpus: CpuSets;
  /** Where guests' disks are kept as logical volumes. */
  lvm: LvmOptions | null;
}): Promise<HostInventory> {
  const disk = await statfs(instancesFolder(host.stateDir));
  const room = host.lvm ? await lvmRoom(host.lvm) : { total: disk.blocks * disk.bsize, free: disk.bavail * disk.bsize };
  const cpu = readCpuInfo();
  const flags = host.acceleration === 'kvm' ? cpu.features : TCG_FLAGS;
  return {
    vcpus: cpus().length,
    memoryMiB: Math.floor(totalmem() / 1024 ** 2),
    diskGiB: Math.floor(room.total / GiB),
    diskFreeGiB: Math.floor(room.free / GiB),
    hypervisorVersion: host.version,
    hypervisorHostname: host.hostname,
    cpuInfo: cpu,
    supportedInstances: [['x86_64', 'qemu', 'hvm'], ...(host.acceleration === 'kvm' ? ([['x86_64', 'kvm', 'hvm']] as const) : [])],
    traits: [
      ...TRAITS,
      ...firmwareTraits(findFirmware()),
      ...tpmTraits(),
      ...(findCpuGroups() ? ['CUSTOM_QUOTA_CPU'] : []),
      ...flags.flatMap((flag) => TRAIT_OF_FLAG[flag] ?? []),
    ].sort(),
    acceleration: host.acceleration,
    numaTopology: { cells: readHostCells(host.cpus) },
    uptime: uptimeLine(new Date(), uptime(), loadavg()),
  };
}

function readCpuInfo(): CpuInfo {
  let text = '';
  try {
    text = readFileSync('/proc/cpuinfo', 'utf8');
  } catch {} // then only what node knows
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(text)?.[1]?.trim();
  const threads = cpus().length;
  const sockets = Math.max(1, new Set([...text.matchAll(/^physical id\s*: (.*)$/gm)].map((match) => match[1])).size);
  const cores = Math.max(1, Math.min(Number(field('cpu cores') ?? threads), threads));
  return {
    arch: 'x86_64',
    model: field('model name') ?? cpus()[0]?.model ?? 'unknown',
    vendor:
      ({ GenuineIntel: 'Intel', AuthenticAMD: 'AMD' } as Record<string, string>)[field('vendor_id') ?? ''] ??
      field('vendor_id') ??
      'unknown', // any text may be asked for
    topology: { cells: 1, sockets, cores, threads: Math.max(1, Math.round(threads / sockets / cores)) },
    features: (field('flags') ?? '').split(' ').filter((flag) => flag !== ''),
  };
}
