import { Readable } from 'node:stream';
import type { Clock } from '../../lib/clock.ts';
import { guestNotFound, hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { Driver, GuestSpec, PowerState } from '../driver.ts';
import type { FakeGuest } from './fake-journal.ts';
import type { Deed, Slowly } from './misbehaviour.ts';

/** Hands of the fake driver that its deeds work with. */
export interface FakeHands {
  readonly clock: Clock;
  /** One deed to one guest at a time, with the trouble it was told to make. */
  onGuest<T>(deed: Deed, uuid: string, spec: GuestSpec | undefined, work: () => T | Promise<T>, slowly?: Slowly): Promise<T>;
  /** Throws guestNotFound. */
  alive(uuid: string): FakeGuest;
  keep(guest: FakeGuest): void;
  tell(guest: FakeGuest, ...texts: string[]): FakeGuest;
  boot(spec: GuestSpec): void;
  disksOf(uuid: string): FakeGuest | undefined;
}
type FakeDeeds = Omit<
  Driver,
  | 'type'
  | 'capabilities'
  | 'start'
  | 'close'
  | 'inventory'
  | 'fetchImage'
  | 'tidyCache'
  | 'createDisks'
  | 'spawn'
  | 'destroy'
  | 'removeDisks'
  | 'powerOff'
  | 'powerOn'
  | 'reboot'
  | 'guests'
  | 'guest'
  | 'consoleOutput'
  | 'console'
  | 'onEvent'
>;

const GIB = 1024 ** 3;
/** What a fake disk is made of when somebody wants its bytes. */
const SNAPSHOT = Buffer.from('a disk of the fake hypervisor: nothing can boot from it\n'.padEnd(512, ' '));

/** What can be done to a fake guest beyond turning it on and off: its record changes as a real guest would, and its console tells it. */
export function createFakeDeeds(hands: FakeHands): FakeDeeds {
  const { clock, onGuest, alive, keep, tell, boot, disksOf } = hands;
  const turn = (deed: Deed, from: readonly PowerState[], to: PowerState, text: string) => (uuid: string) =>
    onGuest(deed, uuid, undefined, () => {
      const guest = alive(uuid);
      if (guest.power === to) return;
      if (!guest.power || !from.includes(guest.power)) throw hypervisorFailed({ why: `a guest that is ${guest.power} cannot ${deed}` });
      keep(tell({ ...guest, power: to }, text));
    });
  const change = (deed: Deed, spec: GuestSpec, text: string) =>
    onGuest(deed, spec.uuid, spec, () => keep(tell({ ...alive(spec.uuid), spec }, text)));
  const say = (deed: Deed, uuid: string, text: string) => onGuest(deed, uuid, undefined, () => keep(tell(alive(uuid), text)));
  const hurries = new Map<string, AbortController>();
  const moved = (guest: FakeGuest) => {
    const memory = guest.spec.memoryMiB * 1024 * 1024;
    const disk = guest.spec.rootGiB * GIB;
    return {
      memoryTotal: memory,
      memoryProcessed: memory,
      memoryRemaining: 0,
      diskTotal: disk,
      diskProcessed: disk,
      diskRemaining: 0,
    };
  };
  return {
    pause: turn('pause', ['running'], 'paused', 'paused'),
    unpause: turn('unpause', ['paused'], 'running', 'unpaused'),
    suspend: turn('suspend', ['running', 'paused'], 'suspended', 'suspended: memory went to disk'),
    resume: (spec) => turn('resume', ['suspended', 'shutdown'], 'running', 'resumed from disk')(spec.uuid),
    crashDump: (uuid) => say('crashDump', uuid, 'a crash dump was asked for by NMI'),
    setPassword: (uuid) => say('setPassword', uuid, 'the administrator has a new password'),
    rescue: (spec, rescue) =>
      onGuest('rescue', spec.uuid, spec, () => {
        const guest = alive(spec.uuid);
        keep(tell({ ...guest, power: 'running' }, `booted for rescue from image ${rescue.image.id}`));
      }),
    unrescue: (spec) =>
      onGuest('unrescue', spec.uuid, spec, () => {
        alive(spec.uuid);
        boot(spec);
      }),
    attachNic: (spec, nic) => change('attachNic', spec, `a network card was plugged in: ${nic.mac}`),
    detachNic: (spec, portId) => change('detachNic', spec, `the network card of port ${portId} was unplugged`),
    attachVolume: (spec, volume) => change('attachVolume', spec, `volume ${volume.volumeId} was plugged in as ${volume.device}`),
    detachVolume: (spec, volumeId) => change('detachVolume', spec, `volume ${volumeId} was unplugged`),
    swapVolume: (spec, old, volume) => change('swapVolume', spec, `volume ${volume.volumeId} took the place of ${old} as ${volume.device}`),
    extendVolume: (spec, volumeId, sizeGiB) => change('extendVolume', spec, `volume ${volumeId} has ${sizeGiB} GiB now`),
    snapshot: (uuid) =>
      onGuest('snapshot', uuid, undefined, () => {
        if (!disksOf(uuid)?.disks) throw guestNotFound({ uuid });
        return { diskFormat: 'raw', sizeBytes: SNAPSHOT.length, open: async () => Readable.from([SNAPSHOT]), discard: async () => {} };
      }),
    resizeDisks: (spec) =>
      onGuest('resizeDisks', spec.uuid, spec, () => {
        const guest = disksOf(spec.uuid);
        if (!guest?.disks) throw guestNotFound({ uuid: spec.uuid });
        keep({ ...guest, spec });
      }),
    async diagnostics(uuid) {
      const guest = alive(uuid);
      const { spec, power } = guest;
      const booted = guest.story.findLast((line) => line.text.startsWith('booting '))?.at;
      return {
        state: power ?? 'pending',
        driver: 'fake',
        hypervisor: 'fake',
        hypervisorOs: 'fake-os',
        uptime: power === 'running' && booted !== undefined ? Math.floor((clock.now() - booted) / 1_000_000) : null,
        configDrive: spec.configDrive !== null,
        memoryMaxMiB: spec.memoryMiB,
        memoryUsedMiB: null,
        cpus: Array.from({ length: spec.vcpus }, (_none, id) => ({ id, time: 0, utilisation: null })),
        nics: spec.nics.map(({ mac }) => ({
          mac,
          rxOctets: 0,
          rxErrors: 0,
          rxDrop: 0,
          rxPackets: 0,
          rxRate: null,
          txOctets: 0,
          txErrors: 0,
          txDrop: 0,
          txPackets: 0,
          txRate: null,
        })),
        disks: [...new Set(['vda', ...spec.volumes.map(({ device }) => device.replace(/^\/dev\//, ''))])].map((device) => ({
          ...{ device, readBytes: 0, readRequests: 0, writeBytes: 0, writeRequests: 0, errors: 0 },
        })),
      };
    },
    offerDisks: (uuid) =>
      onGuest('offerDisks', uuid, undefined, () => {
        const guest = disksOf(uuid);
        if (!guest?.disks) throw guestNotFound({ uuid });
        return { fake: uuid, story: guest.story.map(({ at, text }) => ({ at, text })) };
      }),
    fetchDisks: (spec, offer, _signal, progress) =>
      onGuest('fetchDisks', spec.uuid, spec, () => {
        const old = disksOf(spec.uuid);
        const story = (offer.story ?? []) as FakeGuest['story']; // another fake driver's offer
        const guest: FakeGuest = old?.disks ? { ...old, spec } : { spec, power: null, disks: true, story };
        keep(guest);
        progress(moved(guest));
      }),
    withdrawDisks: async () => {},
    prepareIncoming: (spec) =>
      onGuest('prepareIncoming', spec.uuid, spec, () => {
        const old = disksOf(spec.uuid);
        if (!old?.disks) keep({ spec, power: 'paused', disks: true, story: [] });
        return { fake: spec.uuid };
      }),
    claimIncoming: (uuid) =>
      onGuest('claimIncoming', uuid, undefined, () => {
        const wish = disksOf(uuid)?.spec.metadata['fake:claimIncoming'];
        return wish === 'whole' || wish === 'lost' ? wish : 'none';
      }),
    migrateLive: (uuid, _offer, signal, progress) =>
      onGuest(
        'migrateLive',
        uuid,
        undefined,
        () => {
          const guest = alive(uuid);
          signal.throwIfAborted();
          progress(moved(guest));
          keep({ ...tell(guest, 'moved to another host'), power: null });
        },
        async (slow) => {
          // A slow migration is somewhere on its way, and can be hurried or given up there.
          const guest = alive(uuid);
          const whole = moved(guest);
          const half = { memoryProcessed: whole.memoryTotal / 2, memoryRemaining: whole.memoryTotal / 2 };
          progress({ ...whole, ...half, diskProcessed: Math.floor(whole.diskTotal / 2), diskRemaining: Math.ceil(whole.diskTotal / 2) });
          const hurry = new AbortController();
          hurries.set(uuid, hurry);
          await slow(AbortSignal.any([signal, hurry.signal]));
          hurries.delete(uuid);
        },
      ),
    async forceMigration(uuid) {
      hurries.get(uuid)?.abort();
    },
  };
}
