import type { Updateable } from 'kysely';
import type { Query } from '../../db/engine.ts';
import { insertActions } from '../../db/tables/compute/actions.ts';
import { writeChange } from '../../db/tables/compute/changes.ts';
import { insertJobs, type NewJob } from '../../db/tables/compute/jobs.ts';
import { findServer } from '../../db/tables/compute/servers.ts';
import type { ServersTable } from '../../db/tables/compute/tables.ts';
import type { Call } from '../../http/call.ts';
import type { Micros } from '../../lib/clock.ts';
import { serverChanged, serverLocked, serverNotFound, serverNotReady, serverWrongState } from '../../model/errors-compute.ts';
import { JOBS_RING, type JobInputs, type JobKind, jobDeadlineSeconds } from '../../model/jobs.ts';
import type { Server } from '../../model/server.ts';
import { type Action, refusalOf } from '../../model/server-states.ts';
import { isAdmin, jobContext } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';

/** Throws the 409 that says why the server's state forbids the action. `word` is the action's name in the sentence. */
export function mustAllow(action: Action, word: string, server: Server, call: Call): void {
  const refusal = refusalOf(action, server, isAdmin(call));
  if (!refusal) return;
  if (refusal.why === 'locked') throw serverLocked({ id: server.uuid });
  if (refusal.why === 'not-ready') throw serverNotReady({ id: server.uuid });
  throw serverWrongState({ id: server.uuid, action: word, attribute: refusal.attribute, value: refusal.value });
}

type Change = Omit<Updateable<ServersTable>, 'id' | 'uuid' | 'revision' | 'updated_at'>;
/** What a change does to a server's row, and what goes with it; undefined: nothing is to be done. */
export type Plan =
  | { readonly set: Change; readonly what: string; readonly body?: object; readonly also?: (tx: Query, now: Micros) => Promise<void> }
  | undefined;
const TRIES = 20;

/** Changes one server in one transaction, if it is still as `plan` saw it; else looks again. Answers the server as it now is.
 *  Throws what `plan` throws, serverNotFound when it is gone meanwhile, serverChanged when others are always faster. */
export async function changeServer(parts: ServerParts, seen: Server, plan: (server: Server) => Plan): Promise<Server> {
  for (let server: Server | undefined = seen, tries = 0; tries < TRIES; tries++) {
    const wanted = plan(server);
    if (!wanted) return server;
    const { id, uuid, revision, projectId } = server;
    const now = parts.clock.now();
    const changed = await parts.db.transaction(async (tx) => {
      const { numUpdatedRows } = await tx
        .updateTable('servers')
        .set({ ...wanted.set, revision: revision + 1, updated_at: now })
        .where('id', '=', id)
        .where('revision', '=', revision)
        .where('deleted', '=', 0)
        .executeTakeFirst();
      if (numUpdatedRows === 0n) return false;
      await wanted.also?.(tx, now);
      await writeChange(tx, { noun: 'server', key: uuid, what: wanted.what, projectId, body: wanted.body ?? {}, at: now });
      return true;
    });
    server = await findServer(parts.db.read, uuid);
    if (!server) throw serverNotFound({ id: uuid });
    if (changed) return server;
  }
  throw serverChanged({ id: seen.uuid });
}

/** When a task must have ended. A minute after its job's own deadline: the job's end comes first, the reconciler only sees to what it left. */
export const taskDeadline = (kind: JobKind, now: Micros): Micros => now + (jobDeadlineSeconds[kind] + 60) * 1_000_000;

/** `taskState` null: the operation shows none. */
export interface Task<K extends JobKind> {
  readonly taskState: string | null;
  readonly actionName: string;
  readonly kind: K;
  readonly input: JobInputs[K];
  /** For a request that waits for its job. */
  readonly jobUuid?: string;
  /** More columns that change with the request, and what else is written with it. */
  readonly set?: Change;
  /** What notifications say of it beside the server: `{ volumeId }`. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly also?: (tx: Query, now: Micros) => Promise<void>;
}

/** Begins a long operation: task state with its deadline, action row and job in one transaction; then conductors are woken. */
export async function beginTask<K extends JobKind>(
  parts: ServerParts,
  call: Call,
  seen: Server,
  task: (server: Server) => Task<K> | undefined,
): Promise<void> {
  await changeServer(parts, seen, (server) => {
    const begun = task(server);
    if (!begun) return undefined;
    const { kind, input, actionName, taskState } = begun;
    const busy = taskState === null ? {} : { task_state: taskState, task_deadline: taskDeadline(kind, parts.clock.now()) };
    return {
      set: { ...busy, ...begun.set },
      what: 'task',
      body: { ...begun.details, ...(taskState === null ? {} : { taskState }) },
      also: async (tx, now) => {
        await begun.also?.(tx, now);
        const context = jobContext(call);
        await insertActions(tx, [{ serverUuid: server.uuid, action: actionName, context, at: now }]);
        const uuid = begun.jobUuid === undefined ? {} : { uuid: begun.jobUuid };
        const job = { kind, serverUuid: server.uuid, input, context, now, ...uuid };
        await insertJobs(tx, [job as NewJob]); // kind and input belong together by the signature above
      },
    };
  });
  parts.bus.ring(JOBS_RING);
}
