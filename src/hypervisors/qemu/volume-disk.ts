import { access, constants, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { deedUnsupported, hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestSpec, GuestVolume } from '../driver.ts';

/** A volume as this driver connects it. */
export interface VolumeDisk {
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
  readonly bus: string;
  readonly readOnly: boolean;
  /** Other guests may write to it too. */
  readonly shared: boolean;
  /** Its file is LUKS, and opens with a secret. */
  readonly encrypted: boolean;
  /** What it may do in a second, as the volume service says. */
  readonly qos: unknown;
}

/** Reads what the volume service said. Pure. Throws deedUnsupported for what this driver cannot connect. */
export function volumeDisk(spec: Pick<GuestSpec, 'imageProperties'>, volume: GuestVolume): VolumeDisk {
  const refuse = (why: string) => deedUnsupported({ deed: 'connect a volume', why: `volume ${volume.volumeId}: ${why}` });
  const {
    driver_volume_type: type,
    data,
    multiattach,
  } = volume.connection as { driver_volume_type?: unknown; data?: object; multiattach?: unknown }; // checked below
  if (type !== 'file') throw refuse(`connections of type ${String(type)} are not known here`);
  const told = (data ?? {}) as { device_path?: unknown; format?: unknown; encrypted?: unknown; multiattach?: unknown; qos_specs?: unknown }; // checked below
  const { device_path: file, format = 'raw' } = told;
  if (typeof file !== 'string' || !isAbsolute(file) || /\p{Cc}/u.test(file)) throw refuse('its device_path is not the path of a file');
  if (format !== 'raw' && format !== 'qcow2') throw refuse(`format ${String(format)} is neither raw nor qcow2`);
  const encrypted = told.encrypted === true;
  if (encrypted && format !== 'raw') throw refuse(`it is encrypted and ${format}`);
  const bus = volume.bus ?? spec.imageProperties.hw_disk_bus ?? 'virtio';
  const shared = multiattach === true || told.multiattach === true;
  return { file, format, bus, readOnly: volume.readOnly, shared, encrypted, qos: told.qos_specs };
}

/** Throws hypervisorFailed when the volume's file is not there or not ours to use. */
export async function mustHaveVolume(spec: GuestSpec, volume: GuestVolume): Promise<VolumeDisk> {
  const disk = volumeDisk(spec, volume);
  const found = await stat(disk.file).catch(() => undefined);
  const usable =
    found &&
    !found.isDirectory() &&
    (await access(disk.file, constants.R_OK | (disk.readOnly ? 0 : constants.W_OK)).then(
      () => true,
      () => false,
    ));
  if (!usable) throw hypervisorFailed({ why: `the file of volume ${volume.volumeId} is not on this host, or this user may not use it` });
  return disk;
}
