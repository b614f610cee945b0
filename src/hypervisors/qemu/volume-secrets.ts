import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestSpec } from '../driver.ts';
import type { GuestPaths } from './guest-paths.ts';
import type { Qmp } from './qmp.ts';
import { volumeDisk } from './volume-disk.ts';

/** What opens an encrypted volume, asked of the block storage service each time it is needed. */
export type SecretOf = (volumeId: string) => Promise<string>;

/** QEMU's name of the secret of a volume. */
export const secretId = (volumeId: string) => `key-${volumeId}`;
const PREFIX = 'key.';
const fileOf = (paths: Pick<GuestPaths, 'own'>, volumeId: string) => join(paths.own, PREFIX + volumeId);
const locked = (spec: GuestSpec) => spec.volumes.filter((volume) => volumeDisk(spec, volume).encrypted);

/** The secrets of a guest that is being started, in the words of -object: each lies in a file until the emulator has read it. Pure. */
export const secretArgs = (spec: GuestSpec, paths: Pick<GuestPaths, 'own'>): string[] =>
  locked(spec).flatMap(({ volumeId }) => [
    '-object',
    `secret,id=${secretId(volumeId)},file=${fileOf(paths, volumeId).replaceAll(',', ',,')}`,
  ]);

/** Writes the files that secretArgs names, for this user's eyes only. Throws what the block storage service threw. */
export async function writeSecrets(spec: GuestSpec, paths: Pick<GuestPaths, 'own'>, secretOf: SecretOf): Promise<void> {
  for (const { volumeId } of locked(spec)) {
    const file = fileOf(paths, volumeId);
    await rm(file, { force: true });
    await writeFile(file, await secretOf(volumeId), { mode: 0o600, flag: 'wx' });
  }
}
/** Takes them away; safe twice. */
export async function removeSecrets(paths: Pick<GuestPaths, 'own'>): Promise<void> {
  for (const name of await readdir(paths.own).catch(() => []))
    if (name.startsWith(PREFIX)) await rm(join(paths.own, name), { force: true });
}

/** Gives a running emulator the secret of a volume, over its own line. Safe twice. */
export async function giveSecret(qmp: Qmp, spec: GuestSpec, volumeId: string, secretOf: SecretOf): Promise<void> {
  const volume = spec.volumes.find((one) => one.volumeId === volumeId);
  if (!volume || !volumeDisk(spec, volume).encrypted) return;
  await takeSecret(qmp, volumeId);
  const secret = { 'qom-type': 'secret', id: secretId(volumeId), data: await secretOf(volumeId) };
  await qmp.command('object-add', secret).catch(() => {
    throw hypervisorFailed({ why: `the emulator did not take the key of volume ${volumeId}` }); // without what was sent
  });
}
/** Safe when it has none. */
export const takeSecret = (qmp: Qmp, volumeId: string): Promise<unknown> =>
  qmp.command('object-del', { id: secretId(volumeId) }).catch(() => undefined);
