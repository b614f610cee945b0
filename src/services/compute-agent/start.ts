import { computeAgentContract } from '../../bus/contracts/compute-agent.ts';
import { conductorContract, type Gone, type Owned } from '../../bus/contracts/conductor.ts';
import type { GuestCells } from '../../bus/contracts/guest-cells.ts';
import type { GuestSpec, HostInventory } from '../../hypervisors/driver.ts';
import { every } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import { CloudError } from '../../model/errors.ts';
import { guestNotFound } from '../../model/errors-hypervisor.ts';
import { consoleNotSupported } from '../../model/errors-misc-api.ts';
import { powerStates } from '../../model/server.ts';
import { relayGuest } from './build-guest.ts';
import { cacheImages } from './cache-images.ts';
import { createGuests } from './guests.ts';
import { type Entry, HELD, openJournal } from './journal.ts';
import { createOutbox } from './outbox.ts';
import type { AgentParts } from './parts.ts';
import { createResourceTracker, type Shares } from './resource-tracker.ts';
import { openStateDir } from './state-dir.ts';
import { volumeUse } from './volume-use.ts';

export interface Agent {
  readonly hostUuid: string;
  /** Takes no new commands, finishes what is short, leaves the rest to the next start. Guests run on. */
  stop(): Promise<void>;
  /** Compares what the cloud says stands here with what is here, now. */
  sync(): Promise<void>;
}

/** Starts the agent of one host: takes its state directory, registers, adopts what runs on, then listens. It has no database: what it must remember
 *  is in its journal. Throws stateDirTaken, hostTaken, staleAgent. */
export async function startAgent(parts: AgentParts): Promise<Agent> {
  const { driver, bus, clock, log, options } = parts;
  const state = openStateDir(options.stateDir, options.durable);
  const end = new AbortController();
  try {
    return await start();
  } catch (cause) {
    end.abort();
    state.close();
    throw cause;
  }

  async function start(): Promise<Agent> {
    const journal = openJournal(options.stateDir, options.durable);
    const tracker = createResourceTracker();
    for (const entry of journal.all())
      if (entry.state === 'building' || entry.state === 'built' || entry.until === HELD) tracker.claim(entry.uuid, entry.amounts);
    let fenced = false;
    const sender = () => ({ host: options.host, hostUuid: state.identity().hostUuid, epoch: state.identity().epoch });
    const fence = (cause: unknown) => {
      if (fenced) return;
      fenced = true;
      log.error({ err: cause, host: options.host }, 'another agent owns this host now: nothing more is done here');
      end.abort();
      parts.onFenced?.(cause);
    };
    const outbox = createOutbox(parts, sender, (report, verdict) => guests.settled(report, verdict), fence);
    const volumesUsed = async (specs: readonly GuestSpec[]) => {
      const uses = await volumeUse(parts, specs);
      if (uses.length > 0) await bus.tell(conductorContract, 'reportVolumeUsage', { ...sender(), at: clock.now(), uses });
    };
    const guests = createGuests(
      options.volumeUsageMs > 0 ? { ...parts, volumesUsed } : parts,
      journal,
      tracker,
      outbox,
      (command, taskState) => {
        const progress = { ...sender(), jobUuid: command.jobUuid, uuid: command.uuid, serverEpoch: command.epoch, taskState };
        bus.tell(conductorContract, 'reportProgress', progress).catch(() => undefined); // only news for the impatient
      },
      (command, event) => {
        const note = { ...sender(), uuid: command.uuid, serverEpoch: command.epoch, event, at: clock.now() };
        bus.tell(conductorContract, 'noteEvent', note).catch(() => undefined); // a line in the history, no more
      },
      ({ uuid }, bytes) => {
        bus.tell(conductorContract, 'reportBytes', { ...sender(), uuid, bytes: { ...bytes } }).catch(() => undefined); // only news for the impatient
      },
    );

    /** Guests of the journal, and those the hypervisor has besides. */
    const allKnown = async () => [...new Set([...journal.all(), ...(await driver.guests())].map(({ uuid }) => uuid))];

    await driver.start();
    let inventory = await driver.inventory();
    const { shares, owned, deleted, held } = await register(
      parts,
      state,
      inventory,
      await allKnown(),
      parts.signal ? AbortSignal.any([end.signal, parts.signal]) : end.signal,
    );
    tracker.limit(inventory, shares);
    await reconcile(owned, deleted, held, clock.now(), true);
    const unlisten = driver.onEvent((event) => guests.happened(event));

    /** Whether a guest is on its way here: its move has not ended. One that came while the question was on its way is not in the answer. */
    function comesHere(entry: Entry, held: readonly string[], askedAt: number): boolean {
      if (entry.state !== 'built' || (entry.until ?? 0) <= clock.now()) return false;
      return held.includes(entry.uuid) || (entry.report?.finishedAt ?? 0) > askedAt;
    }
    /** Brings what is here in line with what the cloud says stands here. */
    async function reconcile(
      owned: readonly Owned[],
      deleted: readonly Gone[],
      held: readonly string[],
      askedAt: number,
      starting: boolean,
    ): Promise<void> {
      const standing = new Map(owned.map((one) => [one.uuid, one]));
      const gone = new Map(deleted.map((one) => [one.uuid, one.at]));
      const running = new Map((await driver.guests()).map((guest) => [guest.uuid, guest]));
      for (const guest of running.values())
        if (!guest.known || !journal.get(guest.uuid)) {
          const deletedAt = gone.get(guest.uuid);
          if (deletedAt !== undefined) await endDeleted(guest.uuid, deletedAt);
          else log.warn({ server: guest.uuid, pid: guest.pid }, 'a guest runs here that this agent has no record of; it is left alone');
        }
      for (const entry of journal.all()) {
        const own = standing.get(entry.uuid);
        if (entry.state === 'parked') {
          if (gone.has(entry.uuid) || (entry.until ?? 0) < clock.now()) await guests.putAway(entry, 'drop');
          // A move that went no further and whose job is over: the guest is this host's as before, turned off.
          else if (own?.epoch === entry.epoch && own.taskState === null) journal.put({ ...withoutUntil(entry), state: 'built' });
          else if (entry.until === HELD && own === undefined && !held.includes(entry.uuid)) await guests.putAway(entry, 'keep'); // a move that ended while nobody could tell this host
        } else if (entry.state === 'failed' || entry.state === 'destroyed') {
          if (entry.report) outbox.add(entry.report);
        } else if (own === undefined && entry.state === 'built' && gone.has(entry.uuid)) {
          await endDeleted(entry.uuid, gone.get(entry.uuid) ?? 0);
        } else if (own?.epoch !== entry.epoch && comesHere(entry, held, askedAt)) {
          // The conductor has not written it down yet.
        } else if (own?.epoch !== entry.epoch) {
          // Half-made ones leave nothing worth keeping; a whole one may be the only copy of its disks until its new host has it.
          const keep = entry.state === 'built';
          log.warn({ server: entry.uuid, epoch: entry.epoch, owner: own?.epoch }, 'a guest is not this host’s any more and is put away');
          await guests
            .putAway(entry, keep ? 'keep' : 'drop')
            .catch((cause) => log.error({ err: cause, server: entry.uuid }, 'putting away failed'));
        } else if (entry.state === 'building') {
          if (starting && entry.command) guests.build(entry.command);
        } else {
          if (entry.report && own.taskState !== null) outbox.add(entry.report);
          const power = running.get(entry.uuid)?.power ?? 'shutdown';
          const wasRunning = own.taskState === null && own.vmState === 'active' && own.powerState === powerStates.running;
          if (starting && options.resumeGuests && wasRunning && entry.guest && (power === 'shutdown' || power === 'crashed')) {
            void guests.revive(entry);
            continue;
          }
          if (own.taskState === null && own.powerState !== powerStates[power] && own.vmState !== 'building')
            outbox.add({
              kind: 'power',
              jobUuid: null,
              uuid: entry.uuid,
              epoch: entry.epoch,
              startedAt: clock.now(),
              finishedAt: clock.now(),
              error: null,
              networkInfo: null,
              phases: [],
              power,
              details: 'found when the agent compared its guests',
              step: null,
              result: null,
            });
          if (starting && entry.guest) await parts.relay?.open(relayGuest(entry.guest));
        }
      }
    }
    /** What the operator wants done with a guest whose server is deleted. Only one that runs is worth a word: a guest that is off harms nobody, but takes room. */
    async function endDeleted(uuid: string, deletedAt: number): Promise<void> {
      const { action, timeoutMs } = options.runningDeleted;
      if (action === 'noop' || clock.now() - deletedAt < timeoutMs * 1000) return;
      const power = (await driver.guest(uuid))?.power;
      const runs = power !== undefined && power !== 'shutdown' && power !== 'crashed';
      if (action !== 'reap' && !runs) return;
      log.warn({ server: uuid, action }, 'a guest is here whose server is deleted');
      if (action === 'log') return;
      await guests.endDeleted(uuid, action === 'reap' ? 'drop' : 'off');
    }
    const sync = async () => {
      const known = await allKnown();
      const askedAt = clock.now();
      const answer = await bus.ask(conductorContract, 'listOwned', { ...sender(), known }, { timeoutMs: options.askMs });
      await reconcile(answer.owned, answer.deleted, answer.held, askedAt, false);
    };

    const stopServing = await bus.serve(
      computeAgentContract,
      {
        buildServer: async (command) => guests.build(command),
        destroyServer: async (command) => guests.destroy(command),
        doDeed: async (command) => guests.deed(command),
        cacheImages: ({ imageIds }) => cacheImages(parts, imageIds, end.signal),
        urgeDeed: async (wish) => guests.urge(wish),
        async consoleOutput({ uuid, maxBytes }) {
          return { data: (await driver.consoleOutput(uuid, maxBytes)).toString('base64') };
        },
        async diagnostics({ uuid }) {
          if (!journal.get(uuid)) throw guestNotFound({ uuid });
          const numbers = await driver.diagnostics(uuid);
          const { cpus, nics, disks } = numbers;
          return { ...numbers, cpus: [...cpus], nics: [...nics], disks: [...disks] };
        },
        async console({ uuid, protocol }) {
          if (!driver.capabilities.consoles.includes(protocol)) throw consoleNotSupported({ protocol, driver: driver.type });
          const address = await driver.console(uuid, protocol);
          return { address: address ? { ...address, host: address.host ?? options.host } : null };
        },
        async showGuest({ uuid }) {
          if (!journal.get(uuid)) throw guestNotFound({ uuid });
          const guest = await driver.guest(uuid);
          if (!guest) return { host: options.host, guest: null };
          const { cells = null, forwards } = guest;
          const plain = { ...guest, forwards: forwards.map((one) => ({ ...one })), cells: structuredClone(cells) as GuestCells | null }; // the same but for readonly
          return { host: options.host, guest: plain };
        },
      },
      { host: options.host, concurrency: 64 },
    );
    /** Says so when the host itself has become another, and when more is promised of it than it has. */
    let overdrawn = tracker.overdrawn();
    function tellDrift(before: HostInventory): void {
      const drift = (['vcpus', 'memoryMiB', 'diskGiB', 'hypervisorVersion'] as const)
        .filter((name) => before[name] !== inventory[name])
        .map((name) => `${name} ${before[name]} -> ${inventory[name]}`);
      if (drift.length > 0) log.warn({ drift }, `the host offers something else than before: ${drift.join(', ')}`);
      const over = tracker.overdrawn();
      if (over !== null && over !== overdrawn) log.warn({ over }, `more is promised to guests than the host has: ${over}`);
      overdrawn = over;
    }
    const tidyCache = async () => {
      const { images, bytes, inUse, removed, freedBytes } = await driver.tidyCache(options.imageCache);
      const words = `the image cache holds ${images} images of ${mebibytes(bytes)} MiB, ${inUse} of them in use`;
      if (removed.length === 0) log.debug({ images, bytes, inUse }, words);
      else log.info({ removed }, `${words}; ${removed.length} unused ones of ${mebibytes(freedBytes)} MiB were removed`);
    };
    /** Every so often, first after that time; 0: never. */
    const later = async (ms: number, work: () => Promise<void>, what: string) => {
      if (ms <= 0 || !Number.isFinite(ms)) return;
      await clock.sleep(ms, end.signal);
      await every(clock, ms, end.signal, work, failed(what));
    };
    let reported = JSON.stringify(inventory);
    let looked = clock.now();
    const failed = (what: string) => (cause: unknown) => {
      if (cause instanceof CloudError && cause.code === 'host.stale_agent') fence(cause);
      else log.warn({ err: cause }, what);
    };
    const loops = [
      every(
        clock,
        options.reportMs,
        end.signal,
        async () => {
          let report: ReturnType<typeof hypervisorReport> | null = null;
          if (options.inventoryMs > 0 && clock.now() - looked >= options.inventoryMs * 1000) {
            looked = clock.now();
            const before = inventory;
            inventory = await driver.inventory();
            tracker.limit(inventory, shares);
            tellDrift(before);
            const text = JSON.stringify(inventory);
            // What monitors measure is never the same.
            if (text !== reported || parts.metrics) report = hypervisorReport(parts, inventory);
            reported = text;
          }
          await bus.tell(conductorContract, 'reportHost', { ...sender(), at: clock.now(), report });
        },
        failed('liveness could not be reported'),
      ),
      later(Math.min(...[options.syncMs, options.runningDeleted.pollMs].filter((ms) => ms > 0)), sync, 'guests could not be compared'),
      later(options.imageCache.everyMs, tidyCache, 'the image cache could not be looked through'),
      later(
        options.volumeUsageMs,
        () => volumesUsed(journal.all().flatMap(({ state, guest }) => (state === 'built' && guest ? [guest] : []))),
        'the use of volumes could not be told',
      ),
    ];
    return {
      hostUuid: state.identity().hostUuid,
      sync,
      async stop() {
        await stopServing();
        end.abort();
        await guests.stop();
        unlisten();
        await outbox.stop();
        await Promise.all(loops);
        await driver.close();
        journal.close();
        state.close();
      },
    };
  }
}

const mebibytes = (bytes: number) => Math.round(bytes / 1024 ** 2);
const withoutUntil = ({ until: _until, ...entry }: Entry): Entry => entry;

const hypervisorReport = ({ driver, options, metrics }: AgentParts, inventory: HostInventory) => ({
  hypervisorHostname: inventory.hypervisorHostname,
  hypervisorType: driver.type,
  hypervisorVersion: inventory.hypervisorVersion,
  hostIp: options.hostIp,
  cpuInfo: inventory.cpuInfo,
  supportedInstances: inventory.supportedInstances.map((triple) => [...triple]),
  traits: [...inventory.traits],
  vcpus: inventory.vcpus,
  memoryMiB: inventory.memoryMiB,
  diskGiB: inventory.diskGiB,
  diskFreeGiB: inventory.diskFreeGiB,
  uptime: inventory.uptime,
  stats: {
    ...(inventory.numaTopology ? { numa_topology: inventory.numaTopology } : {}),
    ...options.attributes,
    acceleration: inventory.acceleration,
    ...(metrics ? { metrics: metrics() } : {}),
  },
});

/** Takes the host by compare-and-set, asking until somebody answers. The boot id is kept first: an answer that was lost, or a death before it was
 *  kept, makes the next question the same one. */
async function register(
  parts: AgentParts,
  state: ReturnType<typeof openStateDir>,
  inventory: HostInventory,
  known: string[],
  signal: AbortSignal,
): Promise<{ shares: Shares; owned: Owned[]; deleted: Gone[]; held: string[] }> {
  const { bus, clock, log, options } = parts;
  const { hostUuid, epoch } = state.identity();
  const bootId = state.identity().bootId ?? newUuid();
  state.keepIdentity({ hostUuid, epoch, bootId });
  const question = { host: options.host, hostUuid, epoch, bootId, known, report: hypervisorReport(parts, inventory) };
  for (let pause = 250; ; pause = Math.min(pause * 2, 5000)) {
    try {
      const answer = await bus.ask(conductorContract, 'registerHost', question, { timeoutMs: options.askMs });
      state.keepIdentity({ hostUuid, epoch: answer.epoch, bootId: null });
      return { shares: answer, owned: answer.owned, deleted: answer.deleted, held: answer.held };
    } catch (cause) {
      if (!(cause instanceof CloudError) || cause.kind !== 'unavailable' || signal.aborted) throw cause;
      log.warn({ err: cause }, 'no conductor answers yet; asked again');
      await clock.sleep(pause, signal);
    }
  }
}
