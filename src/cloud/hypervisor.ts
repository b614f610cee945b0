import { hostname } from 'node:os';
import type { Driver } from '../hypervisors/driver.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Settings } from './options.ts';
import { moveOptions } from './part-options.ts';
import { qemuOptions } from './qemu-options.ts';
import { aptLine, guestPrograms, missingPrograms } from './system-programs.ts';

export type HypervisorWish = 'auto' | 'qemu' | 'libvirt' | 'fake';
export interface ChosenHypervisor {
  readonly kind: 'qemu' | 'fake';
  /** Why, as a sentence for the user. */
  readonly why: string;
}

/** Reads compute_driver or --hypervisor; old Nova's driver names are understood. Throws an Error that says what is served. */
export function readHypervisorWish(text: string): HypervisorWish {
  const word = text.trim();
  if (word === 'auto' || word === 'qemu' || word === 'libvirt' || word === 'fake') return word;
  if (/(^|\.)fake\.(\w*Fake\w*Driver)$/.test(word)) return 'fake';
  if (/(^|\.)libvirt\.LibvirtDriver$/.test(word)) return 'libvirt';
  throw new Error(`compute_driver = ${word} is not served. Served: auto, qemu, fake.`);
}

/** Settles what runs guests on this machine. Throws an Error when what was asked for cannot run here. */
export function chooseHypervisor(wish: HypervisorWish): ChosenHypervisor {
  if (wish === 'fake') return { kind: 'fake', why: 'fake hosts, as asked: guests exist only as words' };
  if (wish === 'libvirt') throw new Error('The libvirt driver is not served yet (docs/differences.md); use --hypervisor qemu, or fake.');
  const missing = missingPrograms(guestPrograms);
  if (missing.length === 0) return { kind: 'qemu', why: 'real guests by QEMU' };
  const list = missing.map((one) => one.program).join(', ');
  if (wish === 'qemu') throw new Error(`${list} missing, and --hypervisor qemu needs them. Install: ${aptLine(missing)}`);
  return { kind: 'fake', why: `fake hosts, because ${list} cannot be found; for real guests: ${aptLine(missing)}` };
}

/** Name under which this machine is a host. */
export const machineName = (): string => hostname().split('.')[0] || 'localhost';

export async function openDriver(
  kind: 'qemu' | 'fake',
  options: { host: string; stateDir: string; clock: Clock; log: Log; settings: Settings; secretOf?: (volumeId: string) => Promise<string> },
): Promise<Driver> {
  const { host, stateDir, clock, log, settings, secretOf } = options;
  if (kind === 'fake') {
    const size = { vcpus: settings.fakeVcpus, memoryMiB: settings.fakeMemory, diskGiB: settings.fakeDisk };
    return (await import('../hypervisors/fake/fake-driver.ts')).createFakeDriver({ hostname: host, stateDir, clock, ...size });
  }
  return (await import('../hypervisors/qemu/qemu-driver.ts')).createQemuDriver({
    hostname: host,
    stateDir,
    clock,
    log,
    ...moveOptions(settings),
    ...(settings.instancesPath ? { disksFolder: settings.instancesPath } : {}),
    ...qemuOptions(settings),
    ...(secretOf ? { secretOf } : {}),
  });
}
