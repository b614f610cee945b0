import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { PowerState } from '../../src/hypervisors/driver.ts';
import type { GuestRecord } from '../../src/hypervisors/qemu/guest-journal.ts';
import { shortSocketFolder } from '../../src/hypervisors/qemu/guest-paths.ts';
import { sharedTinyImage } from '../support/tiny-image.ts';
import type { Asker } from './asker.ts';

/** What a host has of a guest, whatever its hypervisor is. */
export interface HostGuest {
  readonly spec: { readonly uuid: string; readonly epoch: number };
  /** Null: disks only. */
  readonly power: PowerState | null;
  readonly disks: boolean;
}
/** A host of real guests on QEMU, seen from beside its agent: by its files and the process table. */
export interface RealHost {
  readonly guests: () => readonly HostGuest[];
  /** Emulators of this host that run, by the guest they belong to. */
  readonly emulators: () => readonly { readonly pid: number; readonly uuid: string }[];
  /** Processes and files that nobody answers for, while nothing is on its way. */
  readonly astray: () => string[];
  /** Whatever is still here once all guests are deleted. */
  readonly left: () => string[];
}

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it went meanwhile
  }
};

const isEmulator = (text: string) => /^\S*qemu-system/.test(text);

/** `dataDir`: of the agent. */
export function realHost(dataDir: string): RealHost {
  const stateDir = join(dataDir, 'agent', 'qemu');
  const instances = join(stateDir, 'instances');
  const folders = () => (existsSync(instances) ? readdirSync(instances) : []);
  const recordOf = (uuid: string): GuestRecord | undefined => {
    const text = read(join(instances, uuid, 'guest.json'));
    return text === '' ? undefined : (JSON.parse(text) as GuestRecord); // its driver replaces it whole
  };
  /** Programs that work on files of this host; its agent is none of them. */
  const processes = () =>
    globSync('/proc/[0-9]*/cmdline').flatMap((file) => {
      const text = read(file);
      return text.includes(`${stateDir}/`) ? [{ pid: Number(file.split('/')[2]), text: text.replaceAll('\0', ' ') }] : [];
    });
  const emulators = () =>
    processes().flatMap(({ pid, text }) => {
      const uuid = /instances\/([0-9a-f-]{36})\//.exec(text)?.[1];
      return uuid !== undefined && isEmulator(text) ? [{ pid, uuid }] : [];
    });
  return {
    emulators,
    guests() {
      const running = emulators();
      return folders().map((uuid) => {
        const record = recordOf(uuid);
        const up = record?.power === 'running' || record?.power === 'paused';
        const gone = up && !running.some((one) => one.uuid === uuid && one.pid === record.process?.pid);
        return {
          spec: { uuid, epoch: record?.spec.epoch ?? 0 },
          power: gone ? 'crashed' : (record?.power ?? null),
          // One that boots from a volume has none.
          disks: record ? record.spec.image === null || existsSync(join(instances, uuid, 'disk')) : true,
        };
      });
    },
    astray() {
      const wrong: string[] = [];
      for (const { pid, uuid } of emulators())
        if (recordOf(uuid)?.process?.pid !== pid) wrong.push(`the emulator ${pid} of ${uuid} is in no record`);
      for (const { pid, text } of processes())
        if (!isEmulator(text)) wrong.push(`a process works on the host's files: ${pid} ${text.slice(0, 200)}`);
      for (const file of globSync(join(instances, '*', '*'))) {
        const [name, uuid] = [basename(file), basename(join(file, '..'))];
        if (name.endsWith('.part') || name.startsWith('snapshot.')) wrong.push(`${name} is left of ${uuid}`);
        if (name === 'memory' && recordOf(uuid)?.power !== 'suspended') wrong.push(`memory is left of ${uuid}, which is not suspended`);
        if (name === 'disk.rescue' && !recordOf(uuid)?.rescue) wrong.push(`a rescue disk is left of ${uuid}, which is not being rescued`);
      }
      for (const file of globSync(join(stateDir, 'images', '*.part'))) wrong.push(`${basename(file)} is left of an image`);
      return wrong;
    },
    left() {
      const sockets = shortSocketFolder(stateDir);
      return [
        ...processes().map(({ pid, text }) => `the process ${pid} is left: ${text.slice(0, 200)}`),
        ...folders().map((name) => `${name} is left in instances`),
        ...(sockets && existsSync(sockets) ? readdirSync(sockets) : []).map((name) => `${name} is left in ${sockets}`),
      ];
    },
  };
}

/** Ends what still runs of a host's guests. */
export function endEmulators(host: RealHost): void {
  for (const { pid } of host.emulators())
    try {
      process.kill(pid, 'SIGKILL');
    } catch {} // it ended meanwhile
}

/** Builds the tiny guest and uploads it; answers the id of the image. */
export async function offerTinyGuest(admin: Asker): Promise<string> {
  const { disk } = await sharedTinyImage();
  const wish = { name: 'tiny guest', disk_format: 'qcow2', container_format: 'bare', visibility: 'public', img_hv_type: 'qemu' };
  const { status, text, body } = await admin.ask('POST', '/image/v2/images', wish);
  if (status !== 201) throw new Error(`the image is refused: ${status} ${text}`);
  const sent = await admin.ask('PUT', `/image/v2/images/${body.id}/file`, readFileSync(disk));
  if (sent.status !== 204) throw new Error(`the image is not taken: ${sent.status} ${sent.text}`);
  return body.id;
}
