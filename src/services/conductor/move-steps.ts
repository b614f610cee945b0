import type { DeedArgs, DeedName } from '../../bus/contracts/guest-deeds.ts';
import type { Query } from '../../db/engine.ts';
import { findAction, insertEvents } from '../../db/tables/compute/actions.ts';
import { insertJobs } from '../../db/tables/compute/jobs.ts';
import { findMigration, type ServerMigration } from '../../db/tables/compute/migrations.ts';
import { switchHost } from '../../db/tables/compute/moving.ts';
import type { Micros } from '../../lib/clock.ts';
import { CloudError } from '../../model/errors.ts';
import { moveOvertaken } from '../../model/errors-moves.ts';
import type { Job, JobKind } from '../../model/jobs.ts';
import type { Flavor, NetworkInfo, Server } from '../../model/server.ts';
import { actionRules } from '../../model/server-states.ts';
import type { ClaimedCells } from './claimed-cells.ts';
import { type AskedNote, askDeed, askedKey, type DeedAsk, type DeedSaid, saidKey } from './deed-step.ts';
import { type GuestDisks, guestOf, instanceOf } from './guests.ts';
import { leaves, type Run, type Step } from './run-job.ts';
import { guestDisksOf } from './server-volumes.ts';

// What the jobs that move servers share.

/** What a move leaves in its notes. */
export interface MoveNotes {
  /** Where it goes. */
  readonly dest?: { readonly host: string; readonly node: string };
  /** Owner epoch when it began: the other host's guest has the next one, and what comes back after a failure the one after that. */
  readonly epoch?: number;
  /** Ports as they are on the host it goes to. */
  readonly ports?: readonly NetworkInfo[];
  /** A live migration has arrived: from then on there is no way back. */
  readonly moved?: boolean;
  /** The guest could not be brought back. */
  readonly lost?: boolean;
  /** The host it goes to went down while it was sent. */
  readonly silent?: boolean;
  readonly urged?: string;
}
export const notesOf = (run: Run) => run.progress.notes as MoveNotes; // written by the jobs of moves only

/** Where a move goes, under which owner epoch it began, and the ports the guest has there. Throws an Error before the place is reserved. */
export function placeOf(run: Run) {
  const { dest, epoch, ports = run.server.networkInfo } = notesOf(run);
  if (!dest || epoch === undefined) throw new Error(`${run.job.kind} without a place`);
  return { dest, epoch, ports };
}

/** The move a job is about. Throws an Error when its row is gone: nothing deletes those of living servers. */
export async function migrationOf(db: Query, uuid: string): Promise<ServerMigration> {
  const migration = await findMigration(db, { uuid });
  if (!migration) throw new Error(`migration ${uuid} has no row`);
  return migration;
}

/** Begins a move: its server must stand where it stood when it was asked for, in a state that allows it. Another task may have been on its way then, as an
 *  evacuation is asked for in any, and a task after it. Throws moveOvertaken; nothing is held then. */
export async function mustStillFit(run: Run, migrationUuid: string, action: 'resize' | 'liveMigrate' | 'evacuate'): Promise<void> {
  const { parts, server } = run;
  const { sourceHost } = await migrationOf(parts.db.read, migrationUuid);
  const states: readonly string[] = actionRules[action].vm;
  if (sourceHost !== server.host || !states.includes(server.vmState) || server.softDeletedAt !== null)
    throw moveOvertaken({ server: server.uuid });
}
/** What a move that failed makes of the vm_state: nothing, when it never began. */
export const stateUnlessOvertaken = (cause: CloudError, vmState: string) => (cause.code === 'move.overtaken' ? {} : { vm_state: vmState });

export const hostIpOf = async (tx: Query, host: string): Promise<string | null> =>
  (await tx.selectFrom('hypervisors').select('host_ip').where('host', '=', host).executeTakeFirst())?.host_ip ?? null;

/** A guest as another host shall have it, on the `cells` that are claimed for it there. */
export function arriving(
  server: Server,
  flavor: Flavor,
  ports: readonly NetworkInfo[],
  cells: ClaimedCells,
  disks: GuestDisks,
  adminPass: string | null = null,
): DeedArgs<'prepareIncoming'> {
  const moved = { ...server, flavor };
  return {
    guest: guestOf(moved, cells, disks),
    ...instanceOf(moved, { adminPass, injectedFiles: [] }),
    ports: portsOf(ports),
  };
}
/** Ports, of types that a message may have. */
export const portsOf = (ports: readonly NetworkInfo[]): DeedArgs<'prepareIncoming'>['ports'] =>
  ports.map((port) => ({
    ...port,
    addresses: port.addresses.map((one) => ({ ...one })),
    nameServers: [...port.nameServers],
    securityGroups: [...port.securityGroups],
  }));

/** Binds the server's ports to a host, and notes them. 'waiting': the network service does not answer now. */
export async function bindPorts<K extends JobKind>(
  run: Run<K>,
  host: string | null,
  mark: string,
  set?: (tx: Query, at: Micros) => Promise<unknown>,
): Promise<'finished' | 'waiting'> {
  const { parts, server } = run;
  let ports: readonly NetworkInfo[];
  try {
    ports = await parts.network.bind(server.uuid, host);
  } catch (cause) {
    if (!(cause instanceof CloudError) || cause.kind !== 'unavailable') throw cause;
    parts.log.warn({ err: cause, server: server.uuid }, 'ports cannot be bound now; tried again soon');
    await run.commit(async () => ({ to: 'queued', inMs: 2000 }));
    return 'waiting';
  }
  run.point(mark, 'middle');
  await run.commit(async (tx) => {
    await set?.(tx, parts.clock.now());
    return { marks: { [mark]: 'finished' }, notes: { ports } };
  });
  return 'finished';
}
/** Binds them back in an undo; what the network service does not take now, the next binding does. */
export async function bindBack<K extends JobKind>(run: Run<K>, host: string | null): Promise<void> {
  await run.parts.network.bind(run.server.uuid, host);
}

/** Binds a server's ports to the host it goes to; undone, to the one where it stands. */
export const portsStep = <K extends JobKind>(
  hostOf: (run: Run<K>) => string | null | Promise<string | null>,
  also?: (tx: Query, run: Run<K>, at: Micros) => Promise<unknown>,
): Step<K> => ({
  name: 'ports',
  do: async (run) => bindPorts(run, await hostOf(run), 'ports', also && ((tx, at) => also(tx, run, at))),
  async undo(run) {
    await bindBack(run, run.server.host);
    return undefined;
  },
});

const MOST_TELLS = 6;
const UNDO_US = 600_000_000;

/** A deed within an undo, or of which nothing depends: asked of a host while it lives and listens, and given up then. Null: it was not done, as far as known. */
export async function askIfPossible<K extends JobKind, D extends DeedName>(
  run: Run<K>,
  ask: DeedAsk<D>,
  mostTells = MOST_TELLS,
): Promise<DeedSaid<D> | 'waiting' | null> {
  const { parts, progress, server } = run;
  const asked = progress.notes[askedKey(ask.step)] as AskedNote | undefined; // written by askDeed
  if (progress.notes[saidKey(ask.step)] === undefined && (asked?.tells ?? 0) >= mostTells) return null;
  try {
    return await askDeed(run, { ...ask, unmarked: true, deadline: parts.clock.now() + UNDO_US });
  } catch (cause) {
    if (leaves(cause) || !(cause instanceof CloudError)) throw cause;
    parts.log.warn(
      { err: cause, server: server.uuid, deed: ask.deed },
      'a deed could not be done; the host puts it in order when it returns',
    );
    return null;
  }
}

/** Undo of the step in which a guest was made on the host it goes to. */
export async function dropArrived<K extends JobKind>(run: Run<K>, step: string): Promise<'waiting' | undefined> {
  const { dest, epoch } = notesOf(run);
  if (!dest || epoch === undefined || dest.host === run.server.host || run.progress.notes[askedKey(step)] === undefined) return undefined;
  const dropped = await askIfPossible(run, { step: 'drop', deed: 'dropGuest', args: {}, host: dest.host, epoch: epoch + 1 });
  return dropped === 'waiting' ? dropped : undefined;
}

/** Undo of the step `leave`: on again where it was, under an epoch of its own: what the other host may still have of it is older then. */
export async function comeBack<K extends JobKind>(run: Run<K>, start: boolean, cells: ClaimedCells): Promise<'waiting' | undefined> {
  const { parts, server } = run;
  const { epoch } = notesOf(run);
  if (run.progress.notes[askedKey('leave')] === undefined || epoch === undefined || server.host === null) return undefined;
  const there = { host: server.host, node: server.node ?? '', epoch: epoch + 2 };
  const disks = await guestDisksOf(parts.db.read, server);
  const back = await askIfPossible(run, {
    step: 'come-back',
    deed: 'arrive',
    args: { ...arriving(server, server.flavor, server.networkInfo, cells, disks), disks: 'here', offer: null, imageId: null, start },
    host: there.host,
    epoch: there.epoch,
  });
  if (back === 'waiting') return back;
  await run.commit(async (tx) => {
    if (back) await switchHost(tx, server, there, {}, parts.clock.now());
    return { marks: { leave: 'undone' }, notes: { lost: back === null } };
  });
  if (back) run.server = { ...server, epoch: there.epoch };
  return undefined;
}

/** Events of the action a job is for. */
export async function noteEvents(
  tx: Query,
  job: Pick<Job, 'serverUuid' | 'context'>,
  host: string | null,
  at: Micros,
  events: Readonly<Record<string, 'open' | 'done'>>,
): Promise<void> {
  const action = await findAction(tx, job.serverUuid, job.context.requestId);
  if (action === undefined) return;
  const rows = Object.entries(events).map(([event, how]) => {
    const done = how === 'done';
    return { event, host, startedAt: at, finishedAt: done ? at : null, result: done ? ('Success' as const) : null, details: null };
  });
  await insertEvents(tx, action, rows);
}

/** Orders what is left of a server on a host to be cleared away, whatever that takes: nobody waits for it. */
export const orderTidying = (tx: Query, job: Pick<Job, 'serverUuid' | 'context'>, host: string, epoch: number, now: Micros) =>
  insertJobs(tx, [
    { kind: 'tidy-host', serverUuid: job.serverUuid, input: { serverUuid: job.serverUuid, host, epoch }, context: job.context, now },
  ]);
