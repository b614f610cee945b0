import { existsSync } from 'node:fs';
import { access, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestPaths } from './guest-paths.ts';
import { findProgram, runProgram } from './programs.ts';
import { unusable, type Wishing, wordOf } from './wishes.ts';

/** A TPM as flavor and image ask for it.  Spec: hw:tpm_version with hw:tpm_model, and the image's words for them. */
export interface Tpm {
  readonly version: '1.2' | '2.0';
  readonly model: 'tpm-tis' | 'tpm-crb';
}
const START_MS = 10_000;
const END_MS = 3000;
const STATE_FILE = /^tpm\/tpm[\w-]{1,40}\.permall$/;

/** Null: nobody asks for one. Throws imageUnusable. */
export function tpmOf(spec: Wishing): Tpm | null {
  const version = wordOf(spec, 'hw:tpm_version', 'hw_tpm_version');
  const model = wordOf(spec, 'hw:tpm_model', 'hw_tpm_model') ?? 'tpm-tis';
  if (version === undefined) {
    if (wordOf(spec, 'hw:tpm_model', 'hw_tpm_model') !== undefined) throw unusable(spec, 'hw_tpm_model needs hw_tpm_version');
    return null;
  }
  if (version !== '1.2' && version !== '2.0') throw unusable(spec, `hw_tpm_version=${version} is not one of 1.2, 2.0`);
  if (model !== 'tpm-tis' && model !== 'tpm-crb') throw unusable(spec, `hw_tpm_model=${model} is not one of tpm-tis, tpm-crb`);
  if (model === 'tpm-crb' && version === '1.2') throw unusable(spec, 'hw_tpm_model=tpm-crb is for hw_tpm_version=2.0');
  return { version, model };
}

/** What a host with the emulator can do. */
export const tpmTraits = (): string[] =>
  findProgram('swtpm')
    ? ['COMPUTE_SECURITY_TPM_1_2', 'COMPUTE_SECURITY_TPM_2_0', 'COMPUTE_SECURITY_TPM_CRB', 'COMPUTE_SECURITY_TPM_TIS']
    : [];

const socketOf = (paths: Pick<GuestPaths, 'socketFolder'>) => join(paths.socketFolder, 'tpm.sock');
const pidOf = (paths: Pick<GuestPaths, 'own'>) => join(paths.own, 'tpm.pid');
const stateOf = (paths: Pick<GuestPaths, 'own'>) => join(paths.own, 'tpm');

/** What a TPM keeps for good, by its name in the guest's own folder: `tpm/tpm2-00.permall`. Nothing: the guest has none, or it never ran. */
export async function tpmFiles(paths: Pick<GuestPaths, 'own'>): Promise<string[]> {
  const names = await readdir(stateOf(paths)).catch(() => []);
  return names.map((name) => `tpm/${name}`).filter(isTpmFile);
}
export const isTpmFile = (name: string): boolean => STATE_FILE.test(name);

/** The words of QEMU. Pure. */
export function tpmArgs(tpm: Tpm | null, paths: Pick<GuestPaths, 'socketFolder'>): string[] {
  if (!tpm) return [];
  return [
    ...['-chardev', `socket,id=tpm0,path=${socketOf(paths).replaceAll(',', ',,')}`],
    ...['-tpmdev', 'emulator,id=tpm0,chardev=tpm0', '-device', `${tpm.model},tpmdev=tpm0`],
  ];
}
/** The words of the emulator of TPMs. It ends with the machine that is connected to it. Pure. */
export const swtpmArgs = (tpm: Tpm, paths: Pick<GuestPaths, 'own' | 'socketFolder'>): string[] => [
  ...['socket', '--tpmstate', `dir=${stateOf(paths)},mode=0600`, '--ctrl', `type=unixio,path=${socketOf(paths)},mode=0600`],
  ...['--terminate', '--daemon', '--pid', `file=${pidOf(paths)}`, ...(tpm.version === '2.0' ? ['--tpm2'] : [])],
];

/** Starts the TPM of a guest whose machine is about to be started. Throws hypervisorFailed. */
export async function startTpm(tpm: Tpm | null, paths: GuestPaths): Promise<void> {
  if (!tpm) return;
  if (!findProgram('swtpm')) throw hypervisorFailed({ why: 'there is no emulator of TPMs on this host (package swtpm)' });
  await stopTpm(paths);
  await rm(socketOf(paths), { force: true });
  await mkdir(stateOf(paths), { recursive: true, mode: 0o700 });
  await runProgram('swtpm', swtpmArgs(tpm, paths));
  for (const until = Date.now() + START_MS; Date.now() < until; await pause(5)) {
    const there = await access(socketOf(paths)).then(
      () => true,
      () => false,
    );
    if (there) return;
  }
  throw hypervisorFailed({ why: 'the TPM of the guest did not start' });
}

/** Ends a TPM that no machine came to: one that had a machine ends with it. Safe twice. */
export async function stopTpm(paths: Pick<GuestPaths, 'own' | 'socketFolder'>): Promise<void> {
  const text = await readFile(pidOf(paths), 'utf8').catch(() => '');
  const pid = Number(text.trim());
  const words = pid > 1 ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : '';
  // Nobody else's under a number that was used again.
  if (words.includes(socketOf(paths))) {
    try {
      process.kill(pid, 'SIGTERM');
    } catch {} // it ended in between, with its machine
    for (const until = Date.now() + END_MS; Date.now() < until && existsSync(`/proc/${pid}`); ) await pause(5); // it may write still
  }
  await rm(pidOf(paths), { force: true });
}
