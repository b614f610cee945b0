import { LRUCache } from 'lru-cache';
import type { Query } from '../../../db/engine.ts';
import { type Change, lastChange, readChanges } from '../../../db/tables/compute/changes.ts';
import { ensureLease, giveLeaseBack, setLeaseValue, takeLease } from '../../../db/tables/compute/leases.ts';
import { tagsOf, toServer } from '../../../db/tables/compute/servers.ts';
import { CHANGES_RING } from '../../../model/jobs.ts';
import type { Server } from '../../../model/server.ts';
import type { ConductorParts } from '../parts.ts';
import { message, type Notice } from './envelope.ts';
import { type Disk, exceptionPayload, type Moment } from './instance-payload.ts';
import { legacyEvent, legacyPayload } from './legacy.ts';
import { type Phase, serverNotices, taskNotice, updateNotice } from './server-notices.ts';

export interface NotificationOptions {
  /** Spec: [notifications] notification_format. */
  readonly format: 'versioned' | 'unversioned' | 'both';
  readonly versionedTopics: readonly string[];
  readonly topics: readonly string[];
  /** Spec: [notifications] notify_on_state_change. */
  readonly onStateChange: 'vm_state' | 'vm_and_task_state' | null;
  /** Spec: [notifications] bdms_in_notifications. */
  readonly disks: boolean;
}
const LEASE = 'notifier';
const LEASE_MS = 15_000;
const POLL_MS = 1000;
const PAGE = 200;
/** An event younger than this may belong to a change that is not numbered yet: what the server is then stands there. */
const SETTLED = 2_000_000;

interface EventRow {
  readonly id: number;
  readonly server_uuid: string;
  readonly event: string;
  readonly started_at: number;
  readonly finished_at: number | null;
  readonly result: string | null;
  readonly details: string | null;
  readonly action: string;
  readonly request_id: string;
  readonly user_id: string;
  readonly project_id: string;
}
/** What was said of a server so far. */
interface Told {
  vmState: string | undefined;
  taskState: string | null;
  readonly phases: Set<string>;
}

/** Tells the outside what happens, from the change feed: nothing waits for a listener, and what was committed is told at least once, in its order, also
 *  over the death of this process. One process at a time does it. Undefined where nothing is to be sent. */
export async function startNotifier(parts: ConductorParts): Promise<{ stop(): Promise<void> } | undefined> {
  const { db, bus, clock, log, notify, notifications: options } = parts;
  if (!options || !notify) return undefined;
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
  let wake = () => {};
  let woken = false;

  const send = async (notice: Notice, at: number, legacy: object | undefined) => {
    const level = notice.priority.toLowerCase();
    if (options.format !== 'unversioned')
      for (const topic of options.versionedTopics) await notify(`${topic}.${level}`, message(notice, at));
    const event = legacyEvent(notice.event);
    if (options.format !== 'versioned' && event && legacy) {
      const publisher = notice.publisher.replace(/^nova-/, '');
      for (const topic of options.topics) await notify(`${topic}.${level}`, message({ ...notice, event, publisher, payload: legacy }, at));
    }
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
    const facts = await factsOf(db.read, page.changes, options.disks, cursor);
    for (const [index, change] of page.changes.entries()) {
      const notice = noticeOf(change);
      if (notice) await send(notice, change.at, undefined);
      if (change.noun !== 'server') continue;
      const last = !page.changes.slice(index + 1).some((later) => later.key === change.key);
      waiting.delete(change.key);
      await tellServer(change, facts, last);
    }
    if (page.changes.length === 0 && waiting.size > 0) {
      const changes = [...waiting.values()].slice(0, PAGE);
      const fresh = await factsOf(db.read, changes, options.disks, cursor);
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
      server,
      vmState: known.vmState ?? vmState,
      taskState: known.taskState,
      tags: facts.tags.get(server.id) ?? [],
      disks: facts.disks.get(server.uuid) ?? [],
      asked: event ? { requestId: event.request_id, userId: event.user_id, projectId: event.project_id } : null,
      fault: failed ? { code: faultCode(server), message: event?.details ?? server.fault?.message ?? '' } : null,
    });
    const tellPhase = async ({ event, phase, at }: EventPhase) => {
      known.phases.add(phaseKey(event, phase));
      const now = moment(event, phase === 'error');
      for (const notice of serverNotices(event.event, phase, now, change.body, parts.options.host))
        await send(notice, at, legacyPayload(now));
      const task = phase === 'error' ? conductorTasks[event.event] : undefined;
      if (task && now.fault) await send(taskNotice(task, now, exceptionPayload(now.fault), parts.options.host), at, undefined);
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
      await send(updateNotice(now, old, parts.options.host), change.at, legacyPayload(now, old));
    }
    for (const each of open) {
      if (earlier.includes(each) || (each.at > change.at && !last)) continue;
      if (each.at > change.at && clock.now() - each.at < SETTLED) waiting.set(change.key, change);
      else await tellPhase(each);
    }
  };

  const loop = async () => {
    while (!end.signal.aborted) {
      try {
        while (await tellPage());
      } catch (cause) {
        log.warn({ err: cause }, 'notifications wait');
      }
      await new Promise<void>((resolve) => {
        const done = () => {
          cancel();
          end.signal.removeEventListener('abort', done);
          resolve();
        };
        const cancel = clock.after(POLL_MS, done);
        end.signal.addEventListener('abort', done);
        wake = done;
        if (woken || end.signal.aborted) done();
      });
      woken = false;
    }
  };
  const deaf = await bus.onRing(CHANGES_RING, () => {
    woken = true;
    wake();
  });
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

/** Changes of other nouns carry their notice whole: their rows may be gone by now. */
function noticeOf(change: Change): Notice | undefined {
  const notice = change.body.notice as Notice | undefined; // written by the API beside what it changed
  return notice && typeof notice.event === 'string' ? notice : undefined;
}

interface Facts {
  readonly servers: ReadonlyMap<string, Server>;
  readonly tags: ReadonlyMap<number, readonly string[]>;
  readonly disks: ReadonlyMap<string, readonly Disk[]>;
  readonly events: ReadonlyMap<string, readonly EventRow[]>;
  /** By server and time: the newest change of that time which is still to be told, Infinity where it has no number yet. */
  readonly writtenWith: ReadonlyMap<string, number>;
}

/** All that a page of changes needs, in a few queries. */
async function factsOf(db: Query, changes: readonly Change[], withDisks: boolean, cursor: number): Promise<Facts> {
  const uuids = [...new Set(changes.filter((change) => change.noun === 'server').map((change) => change.key))];
  if (uuids.length === 0) return { servers: new Map(), tags: new Map(), disks: new Map(), events: new Map(), writtenWith: new Map() };
  const rows = await db.selectFrom('servers').selectAll().where('uuid', 'in', uuids).execute();
  const servers = new Map(rows.map((row) => [row.uuid, toServer(row)]));
  const tags = await tagsOf(
    db,
    rows.map((row) => row.id),
  );
  const disks = new Map<string, Disk[]>();
  if (withDisks)
    for (const row of await db.selectFrom('block_devices').selectAll().where('server_uuid', 'in', uuids).execute())
      if (row.volume_id !== null)
        push(disks, row.server_uuid, {
          deviceName: row.device_name,
          bootIndex: row.boot_index,
          deleteOnTermination: row.delete_on_termination === 1,
          volumeId: row.volume_id,
          tag: row.tag,
        });
  const events = new Map<string, EventRow[]>();
  const found = await db
    .selectFrom('server_action_events as e')
    .innerJoin('server_actions as a', 'a.id', 'e.action_id')
    .select([
      'e.id',
      'a.server_uuid',
      'e.event',
      'e.started_at',
      'e.finished_at',
      'e.result',
      'e.details',
      'a.action',
      'a.request_id',
      'a.user_id',
      'a.project_id',
    ])
    .where('a.server_uuid', 'in', uuids)
    .orderBy('e.id')
    .execute();
  for (const row of found) push(events, row.server_uuid, row);
  // Read after the events: a change that was written with one of them is there too.
  const writtenWith = new Map<string, number>();
  const untold = db
    .selectFrom('changes')
    .select(['key', 'at', 'seq'])
    .where('noun', '=', 'server')
    .where('key', 'in', uuids)
    .where((eb) => eb.or([eb('seq', 'is', null), eb('seq', '>', cursor)]));
  for (const { key, at, seq } of await untold.execute()) {
    const name = `${key} ${at}`;
    writtenWith.set(name, Math.max(writtenWith.get(name) ?? 0, seq ?? Number.POSITIVE_INFINITY));
  }
  return { servers, tags, disks, events, writtenWith };
}
const push = <V>(map: Map<string, V[]>, key: string, value: V) => {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
};

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
