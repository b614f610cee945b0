import { LRUCache } from 'lru-cache';
import type { Announcer } from '../../../bus/announcer.ts';
import { type Change, lastChange, readChanges } from '../../../db/tables/compute/changes.ts';
import { ensureLease, giveLeaseBack, setLeaseValue, takeLease } from '../../../db/tables/compute/leases.ts';
import { createDoze } from '../../../lib/doze.ts';
import { CHANGES_RING } from '../../../model/jobs.ts';
import type { Notice } from '../../../model/notices.ts';
import { exceptionNotice } from '../../../model/notices-of-hosts.ts';
import type { Server } from '../../../model/server.ts';
import type { ConductorParts } from '../parts.ts';
import type { Moment } from './instance-payload.ts';
import { legacyOf, legacyOfNoun, legacyPayload, legacyPeriod, legacyPublisher } from './legacy.ts';
import { type EventRow, eventsOf, factsOf, momentOf, type ServerFacts, untoldTimes } from './server-facts.ts';
import { apiNotice, type Phase, presentPeriod, serverNotices, taskNotice, updateNotice } from './server-notices.ts';

const LEASE = 'notifier';
const LEASE_MS = 15_000;
const POLL_MS = 1000;
const PAGE = 200;
/** An event younger than this may belong to a change that is not numbered yet: what the server is then stands there. */
const SETTLED = 2_000_000;

/** What was said of a server so far. */
interface Told {
  vmState: string | undefined;
  taskState: string | null;
  readonly phases: Set<string>;
}
interface Facts extends ServerFacts {
  readonly events: ReadonlyMap<string, readonly EventRow[]>;
  /** By server and time: the newest change of that time which is still to be told, Infinity where it has no number yet. */
  readonly writtenWith: ReadonlyMap<string, number>;
}

/** Tells the outside what happens, from the change feed: nothing waits for a listener, and what was committed is told at least once, in its order, also
 *  over the death of this process. One process at a time does it. */
export async function startNotifier(parts: ConductorParts, announcer: Announcer): Promise<{ stop(): Promise<void> }> {
  const { db, bus, clock, log } = parts;
  const { options } = announcer;
  const { host: apiHost, auditUnit } = parts.options;
  const end = new AbortController();
  const told = new LRUCache<string, Told>({ max: 50_000 });
  const owner = parts.options.name;
  await ensureLease(db, LEASE);
  // Where nobody ever told anything, the past is not told either.
  const newest = await lastChange(db.read);
  await db.transaction((tx) => tx.updateTable('leases').set({ value: newest }).where('name', '=', LEASE).where('value', '=', 0).execute());
  const since = clock.now();
  /** Servers with events that no change told yet, by the newest change known of them. */
  const waiting = new Map<string, Change>();
  const doze = createDoze(clock, end.signal);

  const factsFor = async (changes: readonly Change[], cursor: number): Promise<Facts> => {
    const uuids = [...new Set(changes.filter((change) => change.noun === 'server').map((change) => change.key))];
    const facts = await factsOf(db.read, uuids, options.disks);
    const events = await eventsOf(db.read, uuids);
    // Read after the events: a change that was written with one of them is there too.
    return { ...facts, events, writtenWith: await untoldTimes(db.read, uuids, cursor) };
  };

  /** One page of the feed; false when there was nothing, or another process tells. */
  const tellPage = async (): Promise<boolean> => {
    const now = clock.now();
    const cursor = await db.transaction((tx) => takeLease(tx, { name: LEASE, owner, now, until: now + LEASE_MS * 1000 }));
    if (cursor === undefined) return false;
    const page = await readChanges(db.read, cursor, PAGE);
    if (page.gone) {
      log.warn({ cursor }, 'changes were forgotten before they were told: listeners missed some');
      page.last = await lastChange(db.read);
    }
    const facts = await factsFor(page.changes, cursor);
    for (const [index, change] of page.changes.entries()) {
      const notice = noticeOf(change);
      if (notice) await announcer.tell(notice, change.at, legacyOfNoun(notice, change.projectId));
      if (change.noun !== 'server') continue;
      const last = !page.changes.slice(index + 1).some((later) => later.key === change.key);
      waiting.delete(change.key);
      await tellServer(change, facts, last);
    }
    if (page.changes.length === 0 && waiting.size > 0) {
      const changes = [...waiting.values()].slice(0, PAGE);
      const fresh = await factsFor(changes, cursor);
      for (const change of changes) {
        waiting.delete(change.key);
        await tellServer(change, fresh, true);
      }
    }
    if (page.last !== cursor) await db.transaction((tx) => setLeaseValue(tx, LEASE, owner, page.last));
    return page.changes.length === PAGE;
  };

  const tellServer = async (change: Change, facts: Facts, last: boolean) => {
    const server = facts.servers.get(change.key);
    if (!server) return;
    const known = told.get(change.key) ?? { vmState: undefined, taskState: null, phases: new Set<string>() };
    told.set(change.key, known);
    const vmState = typeof change.body.vmState === 'string' ? change.body.vmState : (known.vmState ?? server.vmState);
    const taskState = 'taskState' in change.body ? (change.body.taskState as string | null) : known.taskState;
    const events = facts.events.get(change.key) ?? [];
    const moment = (event: EventRow | undefined, failed: boolean): Moment => ({
      ...momentOf(server, facts),
      vmState: known.vmState ?? vmState,
      taskState: known.taskState,
      asked: event ? { requestId: event.request_id, userId: event.user_id, projectId: event.project_id } : null,
      fault: failed ? { code: faultCode(server), message: event?.details ?? server.fault?.message ?? '' } : null,
    });
    const place = (host: string | null, at: number) => ({ host, apiHost, at, auditUnit });
    const tellPhase = async ({ event, phase, at }: EventPhase) => {
      known.phases.add(phaseKey(event, phase));
      const now = moment(event, phase === 'error');
      const here = place(event.host, at);
      for (const notice of serverNotices(event.event, phase, now, change.body, here)) {
        const more = notice.event === 'instance.exists' ? legacyPeriod(presentPeriod(here)) : volumeOf(change);
        await announcer.tell(notice, at, legacyOf(notice, legacyPayload(now, more)));
      }
      if (phase === 'error' && now.fault) await tellFault(event, now, now.fault, at);
    };
    const open = phasesOf(events).filter(
      // What began before this process did was told by the one before it, or by nobody who still cares.
      // What a later change was written with belongs to that one, whatever the clocks of several machines say.
      ({ event, phase, at }) =>
        !known.phases.has(phaseKey(event, phase)) && at >= since && (facts.writtenWith.get(`${change.key} ${at}`) ?? 0) <= change.seq,
    );
    const earlier = known.vmState === undefined ? [] : open.filter(({ at }) => at < change.at);
    for (const each of earlier) await tellPhase(each); // the server was still what it was before this change
    const old = { vmState: known.vmState ?? vmState, taskState: known.taskState };
    const moved = old.vmState !== vmState || (options.onStateChange === 'vm_and_task_state' && old.taskState !== taskState);
    const seen = known.vmState !== undefined;
    known.vmState = vmState;
    known.taskState = taskState;
    if (options.onStateChange && seen && moved) {
      const now = moment(undefined, false);
      const here = place(null, change.at);
      const states = { old_state: old.vmState, old_task_state: old.taskState, new_task_state: taskState, old_display_name: null };
      const notice = updateNotice(now, old, here);
      await announcer.tell(notice, change.at, legacyOf(notice, legacyPayload(now, { ...states, ...legacyPeriod(presentPeriod(here)) })));
    }
    const { begun } = change.body as { begun?: { action: string } & NonNullable<Moment['asked']> }; // written by the API beside the task
    if (begun && change.at >= since) {
      const now = { ...moment(undefined, false), asked: begun };
      const notice = apiNotice(begun.action, now, { apiHost });
      await announcer.tell(notice, change.at, legacyOf(notice, legacyPayload(now)));
    }
    for (const each of open) {
      if (earlier.includes(each) || (each.at > change.at && !last)) continue;
      if (each.at > change.at && clock.now() - each.at < SETTLED) waiting.set(change.key, change);
      else await tellPhase(each);
    }
  };

  /** What failed, beside the event itself. */
  const tellFault = async (event: EventRow, now: Moment, fault: NonNullable<Moment['fault']>, at: number) => {
    const task = conductorTasks[event.event];
    if (task) {
      const words = {
        request_spec: {},
        instance_properties: {},
        instance_id: now.server.uuid,
        state: now.vmState,
        method: task,
        reason: fault.message,
      };
      const legacy = { event: `compute_task.${task}`, publisher: `compute_task.${apiHost}`, payload: words };
      await announcer.tell(taskNotice(task, now, fault, { apiHost }), at, legacy);
    }
    // Of builds Nova does not tell it: another host may still succeed.
    const method = /^compute_(?!_)(.*)/.exec(event.event)?.[1];
    if (method === undefined) return;
    const notice = exceptionNotice(`nova-compute:${event.host ?? now.server.host ?? apiHost}`, fault);
    await announcer.tell(notice, at, {
      event: method,
      publisher: legacyPublisher(notice.publisher),
      payload: { exception: fault.message, args: {} },
    });
  };

  const loop = async () => {
    while (!end.signal.aborted) {
      try {
        while (await tellPage());
      } catch (cause) {
        log.warn({ err: cause }, 'notifications wait');
      }
      await doze.sleep(POLL_MS);
    }
  };
  const deaf = await bus.onRing(CHANGES_RING, doze.wake);
  const running = loop();
  return {
    async stop() {
      end.abort();
      await deaf();
      await running;
      await db.transaction((tx) => giveLeaseBack(tx, LEASE, owner)).catch(() => undefined);
    },
  };
}

/** Events whose failure is the conductor's own too. */
const conductorTasks: Readonly<Record<string, string>> = {
  conductor_schedule_and_build_instances: 'build_instances',
  compute__do_build_and_run_instance: 'build_instances',
  cold_migrate: 'migrate_server',
  conductor_migrate_server: 'migrate_server',
  rebuild_server: 'rebuild_server',
};
const faultCode = (server: Server) => server.fault?.details?.split(' ', 1)[0] ?? 'unexpected';
const volumeOf = ({ body }: Change) => (typeof body.volumeId === 'string' ? { volume_id: body.volumeId } : {});

/** Changes of other nouns carry their notice whole: their rows may be gone by now. */
function noticeOf(change: Change): Notice | undefined {
  const notice = change.body.notice as Notice | undefined; // written by the API beside what it changed
  return notice && typeof notice.event === 'string' ? notice : undefined;
}

interface EventPhase {
  readonly event: EventRow;
  readonly phase: Phase;
  readonly at: number;
}
const phaseKey = (event: EventRow, phase: Phase) => `${event.id} ${phase === 'start' ? 'start' : 'end'}`;

/** Beginnings and ends of events in the order in which they happened. */
function phasesOf(events: readonly EventRow[]): EventPhase[] {
  return events
    .flatMap((event) => [
      { event, phase: 'start' as const, at: event.started_at },
      ...(event.finished_at === null
        ? []
        : [{ event, phase: event.result === 'Error' ? ('error' as const) : ('end' as const), at: event.finished_at }]),
    ])
    .sort((a, b) => a.at - b.at);
}
