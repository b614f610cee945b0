import { accessSync, constants } from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestPaths } from './guest-paths.ts';
import { withDiskSpace } from './programs.ts';
import { flagOf, unusable, type Wishing, wordOf } from './wishes.ts';

/** UEFI firmware on this host: code that guests share, and the variables each begins with. */
export interface FirmwareFiles {
  readonly plain: { readonly code: string; readonly vars: string } | null;
  /** Code that checks signatures, with the usual keys enrolled; needs a q35 machine. */
  readonly secure: { readonly code: string; readonly vars: string } | null;
}
/** What a guest is started by; null: the BIOS. */
export interface Firmware {
  readonly code: string;
  /** Null: stateless, nothing it sets outlives the machine. */
  readonly vars: string | null;
  readonly secure: boolean;
}
const FOLDERS = ['/usr/share/OVMF', '/usr/share/edk2/ovmf', '/usr/share/edk2/x64', '/usr/share/qemu'];
const PLAIN = [
  ['OVMF_CODE_4M.fd', 'OVMF_VARS_4M.fd'],
  ['OVMF_CODE.fd', 'OVMF_VARS.fd'],
] as const;
const SECURE = [
  ['OVMF_CODE_4M.ms.fd', 'OVMF_VARS_4M.ms.fd'],
  ['OVMF_CODE.secboot.fd', 'OVMF_VARS.ms.fd'],
  ['OVMF_CODE.secboot.fd', 'OVMF_VARS.secboot.fd'],
] as const;

/** Looks for the firmware of Debian's package ovmf and its like. */
export function findFirmware(folders: readonly string[] = FOLDERS): FirmwareFiles {
  const first = (pairs: readonly (readonly [string, string])[]) => {
    for (const folder of folders)
      for (const [code, vars] of pairs) {
        const pair = { code: join(folder, code), vars: join(folder, vars) };
        if (readable(pair.code) && readable(pair.vars)) return pair;
      }
    return null;
  };
  return { plain: first(PLAIN), secure: first(SECURE) };
}
function readable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Which firmware flavor and image ask for. Throws imageUnusable for wishes that contradict each other or the machine; hypervisorFailed for firmware that
 *  is not on this host: the scheduler asks for its trait, so it was taken away since.
 *  Spec: hw_firmware_type, os_secure_boot, os:secure_boot, hw_firmware_stateless. */
export function firmwareOf(spec: Wishing, machine: string, files: FirmwareFiles): Firmware | null {
  const type = spec.imageProperties.hw_firmware_type;
  const secure = wantsSecureBoot(spec);
  const stateless = flagOf(spec, null, 'hw_firmware_stateless') ?? false;
  if (type !== undefined && type !== 'bios' && type !== 'uefi') throw unusable(spec, `hw_firmware_type=${type} is not one of bios, uefi`);
  if (type !== 'uefi') {
    if (secure === 'required') throw unusable(spec, 'secure boot needs hw_firmware_type=uefi');
    if (stateless) throw unusable(spec, 'hw_firmware_stateless needs hw_firmware_type=uefi');
    return null;
  }
  const q35 = machine === 'q35' || machine.startsWith('pc-q35');
  if (secure === 'required' && !q35) throw unusable(spec, `secure boot needs hw_machine_type=q35, not ${machine}`);
  const checks = secure === 'required' || (secure === 'optional' && q35 && files.secure !== null);
  const found = checks ? files.secure : files.plain;
  if (!found) throw hypervisorFailed({ why: `there is no UEFI firmware${checks ? ' for secure boot' : ''} on this host (package ovmf)` });
  return { code: found.code, vars: stateless ? null : found.vars, secure: checks };
}

/** Throws imageUnusable. */
export function wantsSecureBoot(spec: Wishing): 'required' | 'optional' | 'disabled' {
  const [flavor, image] = [spec.extraSpecs['os:secure_boot'], wordOf(spec, null, 'os_secure_boot')];
  for (const word of [flavor, image])
    if (word !== undefined && !['required', 'optional', 'disabled'].includes(word))
      throw unusable(spec, `secure boot "${word}" is not one of required, optional, disabled`);
  if ((flavor === 'required' && image === 'disabled') || (flavor === 'disabled' && image === 'required'))
    throw unusable(spec, `secure boot is ${flavor} by the flavor and ${image} by the image`);
  return (flavor ?? image ?? 'disabled') as 'required' | 'optional' | 'disabled'; // checked above
}

export const nvramFile = (paths: Pick<GuestPaths, 'folder'>) => join(paths.folder, 'nvram');

/** Gives the guest variables of its own, once. Throws noDiskSpace. */
export async function makeNvram(paths: Pick<GuestPaths, 'folder'>, firmware: Firmware | null): Promise<void> {
  const file = nvramFile(paths);
  if (!firmware?.vars || readable(file)) return;
  try {
    await copyFile(firmware.vars, `${file}.part`);
    await rename(`${file}.part`, file);
  } catch (cause) {
    await rm(`${file}.part`, { force: true });
    throw withDiskSpace(cause, 'the firmware variables of a guest were copied');
  }
}

/** The words of -machine that firmware needs, and its flash chips. */
export function firmwareArgs(firmware: Firmware | null, paths: Pick<GuestPaths, 'folder'>): { machine: string; args: string[] } {
  if (!firmware) return { machine: '', args: [] };
  const chip = (unit: number, file: string, more: string) => [
    '-drive',
    `if=pflash,unit=${unit},format=raw,file=${file.replaceAll(',', ',,')}${more}`,
  ];
  return {
    machine: firmware.secure ? ',smm=on' : '',
    args: [
      ...(firmware.secure ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
      ...chip(0, firmware.code, ',readonly=on'),
      ...(firmware.vars ? chip(1, nvramFile(paths), '') : []),
    ],
  };
}
