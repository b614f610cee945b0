import { createHash, getHashes } from 'node:crypto';
import { loadavg, uptime } from 'node:os';
import type { Readable } from 'node:stream';
import { openAbortable } from '../../lib/abortable.ts';
import type { Clock } from '../../lib/clock.ts';
import { isoSeconds } from '../../lib/clock.ts';
import { createSharedWork } from '../../lib/shared-work.ts';
import { createTurns } from '../../lib/turns.ts';
import { uptimeLine } from '../../lib/uptime-line.ts';
import { consoleProtocols } from '../../model/consoles.ts';
import { guestNotFound, hypervisorFailed, imageCorrupt, imageUnusable } from '../../model/errors-hypervisor.ts';
import type { Driver, GuestCells, GuestEvent, GuestInfo, GuestSpec, HostInventory, ImageRef, PowerState } from '../driver.ts';
import { createFakeDeeds } from './fake-deeds.ts';
import { createFakeJournal, type FakeGuest, type FakeState } from './fake-journal.ts';
import { createMisbehaviour, type Misbehaviour, type Slowly } from './misbehaviour.ts';

export interface FakeDriverOptions {
  readonly hostname: string;
  readonly clock: Clock;
  /** Where guests are kept over a restart of this process; without it they live in memory only. */
  readonly stateDir?: string;
  readonly misbehaviour?: Misbehaviour;
  /** Give all hosts of one cloud the same set: `fail-once` then means once anywhere. */
  readonly happened?: Set<string>;
  /** Defaults as Nova's fake has them: 1000 CPUs, 800000 MiB, 600000 GiB. */
  readonly vcpus?: number;
  readonly memoryMiB?: number;
  readonly diskGiB?: number;
  /** What the machine can, by standard traits. */
  readonly traits?: readonly string[];
}

/** Images up to this size are read and checked; larger ones are believed, since nothing will ever boot from them. */
const CHECKED_BYTES = 16 * 1024 * 1024;
const STORY_LINES = 200;
/** Guests that exist as words can have every device. */
const TRAITS = [
  'COMPUTE_ADDRESS_SPACE_EMULATED',
  'COMPUTE_FIRMWARE_BIOS',
  'COMPUTE_FIRMWARE_UEFI',
  'COMPUTE_IMAGE_TYPE_QCOW2',
  'COMPUTE_IMAGE_TYPE_RAW',
  'COMPUTE_NODE',
  'COMPUTE_SECURITY_STATELESS_FIRMWARE',
  'COMPUTE_SECURITY_UEFI_SECURE_BOOT',
  'CUSTOM_QUOTA_CPU',
  'CUSTOM_QUOTA_VIF',
  'HW_CPU_X86_SSE2',
];

/** A host whose guests exist only as words: the honest second implementation of the port. It keeps every promise of the contract
 *  suite, and breaks them on request (`misbehaviour`, or the guest's metadata `fake:<deed>`; `fake:crash` or `fake:shutdown` =
 *  `after-spawn` make the guest stop by itself). */
export function createFakeDriver(options: FakeDriverOptions): Driver {
  const { hostname, clock } = options;
  const total = {
    vcpus: options.vcpus ?? 1000,
    memoryMiB: options.memoryMiB ?? 800_000,
    diskGiB: options.diskGiB ?? 600_000,
    traits: options.traits ?? TRAITS,
  };
  const journal = createFakeJournal(options.stateDir);
  const misbehave = createMisbehaviour({
    hostname,
    clock,
    misbehaviour: options.misbehaviour ?? {},
    happened: options.happened ?? new Set(),
  });
  const turns = createTurns();
  const share = createSharedWork<boolean>();
  const listeners = new Set<(event: GuestEvent) => void>();
  const timers = new Set<() => void>();
  let state: FakeState = { guests: new Map(), images: new Set() };

  const keep = (guest: FakeGuest) => {
    state.guests.set(guest.spec.uuid, guest);
    journal.write({ guest });
  };
  const forget = (uuid: string) => {
    if (state.guests.delete(uuid)) journal.write({ gone: uuid });
  };
  const tell = (guest: FakeGuest, ...texts: string[]): FakeGuest => ({
    ...guest,
    story: [...guest.story, ...texts.map((text) => ({ at: clock.now(), text }))].slice(-STORY_LINES),
  });
  const alive = (uuid: string): FakeGuest => {
    const guest = state.guests.get(uuid);
    if (guest?.power == null) throw guestNotFound({ uuid });
    return guest;
  };
  const onGuest = <T>(
    deed: Parameters<typeof misbehave>[0],
    uuid: string,
    spec: GuestSpec | undefined,
    work: () => T | Promise<T>,
    slowly?: Slowly,
  ) => turns.run(uuid, () => misbehave(deed, spec ?? state.guests.get(uuid)?.spec, work, slowly));

  const bootedGuest = (spec: GuestSpec): FakeGuest => {
    const guest = state.guests.get(spec.uuid);
    if (!guest?.disks) throw hypervisorFailed({ why: `guest ${spec.uuid} has no disks` });
    return tell(
      { ...guest, spec, power: 'running' },
      'fake hypervisor: no machine was started, these lines are made up',
      `booting ${spec.name} uuid ${spec.uuid}`,
      `${spec.vcpus} virtual CPUs, ${spec.memoryMiB} MiB of memory`,
      ...(spec.localDisks ?? []).map((disk) => `${disk.kind} disk of ${disk.sizeMiB} MiB${disk.device ? ` as ${disk.device}` : ''}`),
      ...spec.volumes.map((volume) => `volume ${volume.volumeId} as ${volume.device}`),
      ...spec.nics.map((nic, i) => `eth${i}: ${nic.mac} ${nic.addresses.map((a) => a.address).join(' ') || 'no address'}`),
      `${spec.displayName} login:`,
    );
  };
  const stopByItself = (uuid: string, power: PowerState, reason: 'crashed' | 'guest-shutdown', detail: string) => {
    const cancel = clock.after(0, () => {
      timers.delete(cancel);
      const guest = state.guests.get(uuid);
      if (guest?.power !== 'running') return;
      keep(tell({ ...guest, power }, detail));
      for (const listener of listeners) listener({ kind: 'stopped', uuid, reason, detail });
    });
    timers.add(cancel);
  };
  const boot = (spec: GuestSpec) => {
    keep(bootedGuest(spec));
    if (spec.metadata['fake:crash'] === 'after-spawn') stopByItself(spec.uuid, 'crashed', 'crashed', 'the fake guest was told to crash');
    if (spec.metadata['fake:shutdown'] === 'after-spawn') {
      stopByItself(spec.uuid, 'shutdown', 'guest-shutdown', 'the fake guest was told to shut itself down');
    }
  };
  const stop = (uuid: string, text: string) => {
    const guest = alive(uuid);
    if (guest.power !== 'shutdown') keep(tell({ ...guest, power: 'shutdown' }, text));
  };
  const info = (guest: FakeGuest): GuestInfo => ({
    uuid: guest.spec.uuid,
    epoch: guest.spec.epoch,
    power: guest.power ?? 'pending',
    known: true,
    forwards: [],
    vncSocket: null,
    pid: null,
    cells: cellsOf(guest.spec),
  });

  return {
    type: 'fake',
    capabilities: { consoleLog: true, vnc: false, userNetwork: false, consoles: consoleProtocols },
    async start() {
      state = journal.open();
    },
    async close() {
      for (const cancel of timers) cancel();
      timers.clear();
      journal.close();
    },
    async inventory() {
      return inventoryOf(
        hostname,
        total,
        [...state.guests.values()].filter((guest) => guest.disks).map((guest) => guest.spec),
        clock.now(),
      );
    },
    async fetchImage(image, open, signal) {
      const began = clock.now();
      const key = `${image.id} ${image.hashValue}`;
      const cached = await share(key, signal, (stop) =>
        misbehave('fetchImage', undefined, async () => {
          if (state.images.has(key)) return true;
          if (image.sizeBytes <= CHECKED_BYTES) await readAndCheck(image, open, stop);
          state.images.add(key);
          journal.write({ image: key });
          return false;
        }),
      );
      return { cached, ms: Math.round((clock.now() - began) / 1000) };
    },
    // Nothing lies anywhere, so images have neither size nor age here.
    async tidyCache({ removeUnused, minimumAgeMs }) {
      const keys = (spec: GuestSpec) =>
        [spec.image, spec.kernel, spec.ramdisk].flatMap((image) => (image ? [`${image.id} ${image.hashValue}`] : []));
      const used = new Set([...state.guests.values()].flatMap((guest) => keys(guest.spec)));
      const removed = removeUnused && minimumAgeMs === 0 ? [...state.images].filter((key) => !used.has(key)) : [];
      for (const key of removed) {
        state.images.delete(key);
        journal.write({ imageGone: key });
      }
      const inUse = [...state.images].filter((key) => used.has(key)).length;
      return { images: state.images.size, bytes: 0, inUse, removed, freedBytes: 0 };
    },
    createDisks: (spec) =>
      onGuest('createDisks', spec.uuid, spec, () => {
        const old = state.guests.get(spec.uuid);
        if (old?.disks) return;
        if (spec.image && !state.images.has(`${spec.image.id} ${spec.image.hashValue}`)) {
          throw imageUnusable({ id: spec.image.id, why: 'it is not in the cache of this host' });
        }
        keep({ spec, power: null, story: [], ...old, disks: true });
      }),
    spawn: (spec) =>
      onGuest('spawn', spec.uuid, spec, () => {
        if (state.guests.get(spec.uuid)?.power !== 'running') boot(spec);
      }),
    destroy: (uuid) =>
      onGuest('destroy', uuid, undefined, () => {
        const guest = state.guests.get(uuid);
        if (guest?.power != null) keep({ ...guest, power: null });
      }),
    removeDisks: (uuid) => onGuest('removeDisks', uuid, undefined, () => forget(uuid)),
    powerOff: (uuid) => onGuest('powerOff', uuid, undefined, () => stop(uuid, 'the host asked the fake guest to shut down; it did')),
    powerOn: (spec) =>
      onGuest('powerOn', spec.uuid, spec, () => {
        if (state.guests.get(spec.uuid)?.power !== 'running') boot(spec);
      }),
    reboot: (spec, how) =>
      onGuest('reboot', spec.uuid, spec, () => {
        if (state.guests.get(spec.uuid)?.power === 'running') stop(spec.uuid, `${how} reboot`);
        boot(spec);
      }),
    ...createFakeDeeds({ clock, onGuest, alive, keep, tell, boot, disksOf: (uuid) => state.guests.get(uuid) }),
    guests: async () => [...state.guests.values()].filter((guest) => guest.power !== null).map(info),
    async guest(uuid) {
      const guest = state.guests.get(uuid);
      return guest?.power == null ? undefined : info(guest);
    },
    async consoleOutput(uuid, maxBytes) {
      const text = Buffer.from(
        alive(uuid)
          .story.map((line) => `[${isoSeconds(line.at)}] ${line.text}\n`)
          .join(''),
      );
      return text.subarray(Math.max(0, text.length - maxBytes));
    },
    async console(uuid, protocol) {
      if (alive(uuid).power === 'shutdown') return undefined;
      // As made up as the guest: a name that is never resolved.
      const path = protocol === 'vnc' || protocol === 'serial' ? uuid : null;
      return { host: `${protocol}.fake.invalid`, port: 6969, tlsPort: protocol === 'spice' ? 6970 : null, path, socket: null };
    },
    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** A guest of words stands where it is told to. */
const cellsOf = ({ claimedCells, extraSpecs }: GuestSpec): GuestCells | null =>
  claimedCells
    ? {
        pageKiB: extraSpecs['hw:mem_page_size'] === undefined ? null : (claimedCells[0]?.pageKiB ?? null),
        cells: claimedCells.map(({ cpus, memoryMiB, hostCell, pins }) => ({
          cpus,
          memoryMiB,
          hostCell,
          pins: pins.map(({ guest, host }) => [guest, host]),
          siblings: [],
        })),
      }
    : null;

async function readAndCheck(image: ImageRef, open: () => Promise<Readable>, signal: AbortSignal) {
  if (!getHashes().includes(image.hashAlgo)) throw imageUnusable({ id: image.id, why: `unknown hash algorithm ${image.hashAlgo}` });
  const hash = createHash(image.hashAlgo);
  let size = 0;
  for await (const chunk of await openAbortable(open, signal)) {
    hash.update(chunk);
    size += chunk.length;
    if (size > image.sizeBytes) break;
  }
  signal.throwIfAborted();
  if (size !== image.sizeBytes) throw imageCorrupt({ id: image.id, why: `it has another size than ${image.sizeBytes} bytes` });
  const digest = hash.digest('hex');
  if (digest !== image.hashValue.toLowerCase()) throw imageCorrupt({ id: image.id, why: `its ${image.hashAlgo} is ${digest}` });
}

function inventoryOf(
  hostname: string,
  total: { vcpus: number; memoryMiB: number; diskGiB: number; traits: readonly string[] },
  guests: readonly GuestSpec[],
  now: number,
): HostInventory {
  const used = guests.reduce((sum, spec) => sum + spec.rootGiB + spec.ephemeralGiB + spec.swapMiB / 1024, 0);
  return {
    ...total,
    diskFreeGiB: Math.max(0, Math.floor(total.diskGiB - used)),
    hypervisorVersion: 1000,
    hypervisorHostname: hostname,
    cpuInfo: {
      arch: 'x86_64',
      model: 'Nehalem',
      vendor: 'Intel',
      topology: { cells: 1, sockets: 1, cores: total.vcpus, threads: 1 },
      features: ['sse2'],
    },
    supportedInstances: [
      ['x86_64', 'qemu', 'hvm'],
      ['x86_64', 'fake', 'hvm'],
    ],
    traits: total.traits,
    acceleration: 'none',
    uptime: uptimeLine(new Date(now / 1000), uptime(), loadavg()),
  };
}
