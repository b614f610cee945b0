import type { QemuDriverOptions } from '../hypervisors/qemu/qemu-driver.ts';
import { parseCpus } from '../model/numa/cpu-spec.ts';
import type { Settings } from './options.ts';

/** What a config says of guests on QEMU and their disks. Throws an Error that names the option whose value is none. */
export function qemuOptions(
  settings: Settings,
): Pick<QemuDriverOptions, 'disks' | 'cpus' | 'driveFormat' | 'snapshots' | 'memoryStatsSeconds'> {
  const wrong = (name: string, value: string, known: string) => new Error(`${name} = ${value} is not served. Served: ${known}.`);
  const word = <const W extends string>(name: string, value: string, words: readonly W[]): W => {
    const found = words.find((one) => one === value.trim().toLowerCase());
    if (found === undefined) throw wrong(name, value, words.join(', '));
    return found;
  };
  const named = word('[libvirt] images_type', settings.imagesType, ['default', 'qcow2', 'raw', 'flat', 'lvm']);
  const type = named === 'default' ? (settings.cowImages ? 'qcow2' : 'raw') : named === 'flat' ? 'raw' : named;
  const clear = word('[libvirt] volume_clear', settings.volumeClear, ['none', 'zero', 'shred']);
  if (type === 'lvm' && !settings.volumeGroup) throw new Error('[libvirt] images_type = lvm needs images_volume_group.');
  const lvm = { group: settings.volumeGroup ?? '', sparse: settings.sparseVolumes, clear, clearMiB: settings.volumeClearSize };
  const format = settings.snapshotFormat;
  return {
    disks: {
      type,
      preallocate: word('preallocate_images', settings.preallocateImages, ['none', 'space']) === 'space',
      lvm: settings.volumeGroup ? lvm : null,
    },
    cpus: { shared: cpusOf('cpu_shared_set', settings.cpuSharedSet), dedicated: cpusOf('cpu_dedicated_set', settings.cpuDedicatedSet) },
    driveFormat: word('config_drive_format', settings.configDriveFormat, ['iso9660', 'vfat']),
    snapshots: {
      format: format === null ? null : word('[libvirt] snapshot_image_format', format, ['qcow2', 'raw']),
      folder: settings.snapshotsDirectory,
    },
    memoryStatsSeconds: settings.memoryStatsPeriod,
  };
}

function cpusOf(name: string, text: string | null): ReadonlySet<number> | null {
  if (text === null || text.trim() === '') return null;
  try {
    return parseCpus(text);
  } catch (cause) {
    throw new Error(`[compute] ${name} = ${text}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}
