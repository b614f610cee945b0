import type { BuildCommand, DeedCommand, DestroyCommand } from '../../bus/contracts/compute-agent.ts';
import type { AgentReport, Verdict } from '../../bus/contracts/conductor.ts';
import type { GuestEvent, MoveProgress } from '../../hypervisors/driver.ts';
import type { Micros } from '../../lib/clock.ts';
import { createSlots } from '../../lib/slots.ts';
import { CloudError, wireError } from '../../model/errors.ts';
import { claimRefused, commandTooLate, deedGivenUp } from '../../model/errors-conductor.ts';
import { buildGuest, commandAmounts, plainNetwork, relayGuest, undoGuest } from './build-guest.ts';
import { doDeed } from './do-deed.ts';
import type { Entry, Journal } from './journal.ts';
import type { Outbox } from './outbox.ts';
import type { AgentParts } from './parts.ts';
import type { ResourceTracker } from './resource-tracker.ts';

export interface Guests {
  /** Commands return at once; their outcome goes to the outbox. The same command twice is done once. */
  build(command: BuildCommand): void;
  destroy(command: DestroyCommand): void;
  deed(command: DeedCommand): void;
  /** Out of turn: makes a deed in hand give up, or end whatever it costs. */
  urge(wish: { jobUuid: string; uuid: string; step: string; how: 'abort' | 'force' }): void;
  /** What the hypervisor tells by itself. */
  happened(event: GuestEvent): void;
  settled(report: AgentReport, verdict: Verdict): void;
  /** Stops a guest that is not this host's any more. `disks`: 'drop' for servers that are gone, 'keep' for ones another host owns. */
  putAway(entry: Entry, disks: 'drop' | 'keep'): Promise<void>;
  /** Starts a guest that should run and does not; when that fails, says how it is. */
  revive(entry: Entry): Promise<void>;
  /** Ends a guest whose server is deleted: 'drop' with its disks; 'off' leaves them. Also one without an entry. */
  endDeleted(uuid: string, how: 'drop' | 'off'): Promise<void>;
  /** Waits for what is in hand, at most the grace; builds that last longer are left to the next start. */
  stop(): Promise<void>;
  /** Nothing is in hand. */
  idle(): boolean;
}

const STOPPING = new Error('the agent stops');
const CANCELLED = new Error('the server is deleted');
const AGAIN_MS = 1000;
/** How far a move that a delete overtook may have raised a guest's epoch above its server's. */
const MOVE_EPOCHS = 2;
/** What became of a guest, whatever was asked meanwhile. */
const LOST: readonly string[] = ['guest.lost_here', 'guest.lost_there'];
const GIVEN_UP = new Error('somebody asked it to be given up');

export function createGuests(
  parts: AgentParts,
  journal: Journal,
  tracker: ResourceTracker,
  outbox: Outbox,
  told: (command: Pick<BuildCommand, 'jobUuid' | 'uuid' | 'epoch'>, taskState: string) => void,
  noted: (command: BuildCommand, event: string) => void,
  moved: (command: Pick<DeedCommand, 'uuid'>, bytes: MoveProgress) => void,
): Guests {
  const { driver, clock, log, options, network } = parts;
  const turns = new Map<string, Promise<void>>();
  const building = new Map<string, AbortController>();
  /** Guests whose end was ordered, with the highest epoch that ended: late build commands must not bring them back. */
  const ended = new Map<string, { epoch: number; until: Micros }>();
  /** Deeds in hand: what a guest does by itself meanwhile is their business. */
  const inHand = new Map<string, { readonly key: string; readonly control: AbortController }>();
  /** Guests that were dropped here: late orders of the same job, or of older ones, must not bring them back. */
  const dropped = new Map<string, { jobUuid: string; epoch: number; until: Micros }>();
  /** Deeds that have been done, until their time is over: of the guest's last one the word is said again, of older ones nobody waits for it. */
  const bygone = new Map<string, Micros>();
  const slots = createSlots(options.concurrency);
  const leaving = createSlots(options.liveMigrations);
  let stopping = false;

  /** What is done to one guest is done in turn. */
  const inTurn = (uuid: string, work: () => Promise<void>): Promise<void> => {
    const before = turns.get(uuid) ?? Promise.resolve();
    const mine = before
      .then(work)
      .catch((cause) => log.error({ err: cause, server: uuid }, 'work on a guest failed'))
      .finally(() => {
        if (turns.get(uuid) === mine) turns.delete(uuid);
      });
    turns.set(uuid, mine);
    return mine;
  };
  const report = (
    kind: AgentReport['kind'],
    of: { uuid: string; epoch: number; jobUuid: string | null },
    startedAt: Micros,
    more: Partial<AgentReport> = {},
  ): AgentReport => ({
    kind,
    jobUuid: of.jobUuid,
    uuid: of.uuid,
    epoch: of.epoch,
    startedAt,
    finishedAt: clock.now(),
    error: null,
    networkInfo: null,
    phases: [],
    power: null,
    details: null,
    step: null,
    result: null,
    ...more,
  });

  const make = async (command: BuildCommand, signal: AbortSignal): Promise<void> => {
    const { uuid, epoch, jobUuid } = command;
    const startedAt = clock.now();
    const amounts = commandAmounts(command);
    const phases: AgentReport['phases'] = [];
    const fail = (cause: unknown, dirty = false) => {
      const failed = report('build-failed', command, startedAt, { error: wireError(cause), phases });
      journal.put({ uuid, epoch, jobUuid, state: 'failed', amounts, report: failed, ...(dirty ? { dirty } : {}) });
      outbox.add(failed);
    };
    const release = await slots.take(signal);
    try {
      if (signal.aborted) return;
      if (clock.now() > command.deadline) return fail(commandTooLate({}));
      const short = tracker.claim(uuid, amounts);
      if (short !== null) return fail(claimRefused({ why: short }));
      journal.put({ uuid, epoch, jobUuid, state: 'building', command, amounts });
      const made = await buildGuest(
        parts,
        command,
        signal,
        phases,
        (state) => told(command, state),
        (event) => noted(command, event),
        (bytes) => moved(command, bytes),
      );
      const built = report('built', command, startedAt, { networkInfo: made.networks.map(plainNetwork), phases });
      journal.put({ uuid, epoch, jobUuid, state: 'built', guest: made.guest, amounts, report: built });
      outbox.add(built);
    } catch (cause) {
      // Stopping: the journal says how far it came, and the next start goes on. Cancelled: whoever cancelled puts it away.
      if (signal.aborted) return;
      log.warn({ err: cause, server: uuid }, 'a build failed and is undone');
      const whole = await undoGuest(parts, command).then(
        () => true,
        (undo) => {
          log.error({ err: undo, server: uuid }, 'a failed build could not be undone whole; tried again later');
          return false;
        },
      );
      tracker.release(uuid);
      fail(cause, !whole);
    } finally {
      release();
    }
  };
  const startBuild = (command: BuildCommand) => {
    const { uuid } = command;
    const control = new AbortController();
    building.set(uuid, control);
    void inTurn(uuid, async () => {
      const old = journal.get(uuid);
      if (old && old.epoch < command.epoch && (old.state === 'built' || old.state === 'building' || old.dirty)) await clean(old);
      await make(command, control.signal);
    }).finally(() => {
      if (building.get(uuid) === control) building.delete(uuid);
    });
  };
  /** Guest, socket, disks and claim of an entry, gone. */
  const clean = async (entry: Pick<Entry, 'uuid'>, disks: 'drop' | 'keep' = 'drop') => {
    await driver.destroy(entry.uuid);
    await parts.relay?.close(entry.uuid);
    if (disks === 'drop') await driver.removeDisks(entry.uuid);
    tracker.release(entry.uuid);
  };

  return {
    build(command) {
      const { uuid, epoch } = command;
      const end = ended.get(uuid);
      const entry = journal.get(uuid);
      if (stopping || (end && end.epoch >= epoch) || (entry && entry.epoch > epoch)) return;
      if (entry?.epoch === epoch && entry.state !== 'building') {
        if (entry.report) outbox.add(entry.report);
        return;
      }
      if (!building.has(uuid)) startBuild(command);
    },
    destroy(command) {
      const { uuid, epoch, jobUuid } = command;
      // A delete for good also means what a move that it overtook has made of the guest.
      const upTo = command.releaseNetwork ? epoch + MOVE_EPOCHS : epoch;
      if (stopping || (journal.get(uuid)?.epoch ?? 0) > upTo) return;
      const startedAt = clock.now();
      for (const [other, end] of ended) if (end.until < startedAt) ended.delete(other);
      const first = !ended.has(uuid);
      ended.set(uuid, { epoch: upTo, until: command.deadline });
      building.get(uuid)?.abort(CANCELLED);
      inHand.get(uuid)?.control.abort(CANCELLED);
      const entry = journal.get(uuid);
      if (entry?.state === 'destroyed' && entry.report) return outbox.add(entry.report);
      if (!first && turns.has(uuid)) return; // in hand already
      void inTurn(uuid, async () => {
        try {
          await clean({ uuid });
          if (command.releaseNetwork) await network.release(uuid);
        } catch (cause) {
          return outbox.add(report('destroyed', command, startedAt, { error: wireError(cause) }));
        }
        const done = report('destroyed', command, startedAt);
        const amounts = { VCPU: 0, MEMORY_MB: 0, DISK_GB: 0 };
        journal.put({ uuid, epoch, jobUuid, state: 'destroyed', amounts, report: done });
        outbox.add(done);
      });
    },
    deed(command) {
      const { uuid, epoch, jobUuid, step } = command;
      const key = `${jobUuid} ${step}`;
      if (stopping || inHand.get(uuid)?.key === key) return;
      const drop = dropped.get(uuid);
      const end = ended.get(uuid);
      const makes = command.deed === 'arrive' || command.deed === 'prepareIncoming';
      if (makes && end && end.epoch >= epoch && end.until >= clock.now()) return;
      if (command.deed === 'dropGuest') {
        for (const [other, one] of dropped) if (one.until < clock.now()) dropped.delete(other);
        if ((journal.get(uuid)?.epoch ?? 0) <= epoch) {
          dropped.set(uuid, { jobUuid, epoch, until: command.deadline });
          building.get(uuid)?.abort(CANCELLED);
          inHand.get(uuid)?.control.abort(CANCELLED);
        }
      } else if (drop && drop.until >= clock.now() && (drop.jobUuid === jobUuid || epoch < drop.epoch)) return;
      void inTurn(uuid, async () => {
        const entry = journal.get(uuid);
        const startedAt = clock.now();
        if (entry?.jobUuid === jobUuid && entry.report?.kind === 'deed' && entry.report.step === step) return outbox.add(entry.report);
        if ((bygone.get(key) ?? 0) >= startedAt) return;
        const control = new AbortController();
        inHand.set(uuid, { key, control });
        let done: AgentReport;
        let next = entry;
        try {
          const out = await doDeed({
            parts,
            command,
            entry,
            tracker,
            signal: control.signal,
            turnToLeave: () => leaving.take(control.signal),
            told: (state) => told(command, state),
            moved: (bytes) => moved(command, bytes),
          });
          const { power = null, networkInfo = null, phases = [], result } = out;
          done = report('deed', command, startedAt, { step, result, power, networkInfo, phases });
          if (out.entry === 'gone') next = undefined;
          else if (entry || out.entry || out.guest) {
            const fresh: Entry = entry ?? { uuid, epoch, jobUuid, state: 'built', amounts: { VCPU: 0, MEMORY_MB: 0, DISK_GB: 0 } };
            next = { ...fresh, ...out.entry, ...(out.guest ? { guest: out.guest } : {}) };
          }
        } catch (cause) {
          // Cancelled by a delete, which does the rest; or stopping: the command is sent again to the next start.
          const fate = cause instanceof CloudError && LOST.includes(cause.code);
          const givenUp = control.signal.reason === GIVEN_UP && !fate;
          if (control.signal.aborted && !givenUp && !fate) return;
          log.warn({ err: cause, server: uuid, deed: command.deed }, 'a deed failed');
          done = report('deed', command, startedAt, { step, error: wireError(givenUp ? deedGivenUp({}, { cause }) : cause) });
        } finally {
          inHand.delete(uuid);
        }
        if (next) journal.put({ ...next, jobUuid, report: done });
        else if (entry)
          journal.put({ uuid, epoch, jobUuid, state: 'destroyed', amounts: { VCPU: 0, MEMORY_MB: 0, DISK_GB: 0 }, report: done });
        for (const [other, until] of bygone) if (until < startedAt) bygone.delete(other);
        bygone.set(key, command.deadline);
        outbox.add(done);
      });
    },
    urge({ jobUuid, uuid, step, how }) {
      const deed = inHand.get(uuid);
      if (deed?.key !== `${jobUuid} ${step}`) return;
      if (how === 'abort') deed.control.abort(GIVEN_UP);
      else void driver.forceMigration(uuid).catch((cause) => log.warn({ err: cause, server: uuid }, 'a migration could not be forced'));
    },
    happened(event) {
      const entry = journal.get(event.uuid);
      // A guest that stops while it is being built or turned off is that work's business.
      if (!entry || inHand.has(event.uuid) || ended.has(event.uuid)) return;
      if (event.kind === 'stopped' && event.reason === 'host-request') return;
      const power = event.kind === 'started' ? 'running' : event.reason === 'crashed' ? 'crashed' : 'shutdown';
      const details = event.kind === 'stopped' ? event.detail : null;
      // Behind the build's own outcome, if that is not said yet.
      void inTurn(event.uuid, async () => {
        const now = journal.get(event.uuid);
        if (now?.state === 'built') outbox.add(report('power', { ...now, jobUuid: null }, clock.now(), { power, details }));
      });
    },
    settled(said, verdict) {
      const entry = journal.get(said.uuid);
      if (!entry || entry.epoch !== said.epoch) return;
      if (entry.state === 'failed' || entry.state === 'destroyed') {
        if (entry.report?.jobUuid !== said.jobUuid || entry.report.kind !== said.kind) return;
        if (entry.dirty) journal.put({ ...entry, state: 'parked', until: clock.now() });
        else journal.drop(said.uuid);
        return;
      }
      // It is just coming: the conductor writes down that it is here, and then hears how it is.
      if (verdict === 'stale' && said.kind === 'power' && entry.state === 'built' && (entry.until ?? 0) > clock.now()) {
        clock.after(AGAIN_MS, () => {
          const now = journal.get(said.uuid);
          if (!stopping && now?.state === 'built' && now.epoch === said.epoch && !inHand.has(said.uuid)) outbox.add(said);
        });
        return;
      }
      if (verdict === 'stale' && entry.state === 'built' && (entry.until ?? 0) < clock.now())
        void inTurn(said.uuid, async () => {
          if (journal.get(said.uuid)?.epoch !== said.epoch) return;
          log.warn({ server: said.uuid, epoch: said.epoch }, 'a guest is not this host’s any more and is put away');
          await clean({ uuid: said.uuid });
          journal.drop(said.uuid);
        });
    },
    putAway: (entry, disks) => {
      building.get(entry.uuid)?.abort(CANCELLED);
      return inTurn(entry.uuid, async () => {
        if (journal.get(entry.uuid)?.epoch !== entry.epoch) return;
        await clean(entry, disks);
        if (disks === 'drop') journal.drop(entry.uuid);
        else journal.put({ ...entry, state: 'parked', until: clock.now() + options.keepDisksMs * 1000 });
      });
    },
    revive: ({ uuid, epoch }) =>
      inTurn(uuid, async () => {
        const entry = journal.get(uuid);
        if (entry?.epoch !== epoch || entry.state !== 'built' || !entry.guest) return;
        try {
          await parts.relay?.open(relayGuest(entry.guest));
          await driver.powerOn(entry.guest);
          log.info({ server: uuid }, 'a guest that was running before is started again');
          outbox.add(report('power', { ...entry, jobUuid: null }, clock.now(), { power: 'running', details: 'started with its host' }));
        } catch (cause) {
          log.error({ err: cause, server: uuid }, 'a guest that was running before could not be started');
          const details = `it could not be started with its host: ${cause instanceof Error ? cause.message : String(cause)}`;
          outbox.add(report('power', { ...entry, jobUuid: null }, clock.now(), { power: 'shutdown', details }));
        }
      }),
    endDeleted: (uuid, how) =>
      inTurn(uuid, async () => {
        if (how === 'off') return driver.powerOff(uuid, 0);
        building.get(uuid)?.abort(CANCELLED);
        await clean({ uuid });
        journal.drop(uuid);
      }),
    async stop() {
      stopping = true;
      await Promise.race([Promise.all(turns.values()), clock.sleep(options.stopGraceMs)]);
      for (const control of building.values()) control.abort(STOPPING);
      for (const { control } of inHand.values()) control.abort(STOPPING);
      await Promise.race([Promise.all(turns.values()), clock.sleep(1000)]);
    },
    idle: () => turns.size === 0,
  };
}
