import type { Insertable, Selectable } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import { newUuid } from '../../../lib/ids.ts';
import type { JobContext } from '../../../model/caller.ts';
import type { WireError } from '../../../model/errors.ts';
import {
  freshProgress,
  type Job,
  type JobInputs,
  type JobKind,
  type JobProgress,
  jobDeadlineSeconds,
  jobPriority,
} from '../../../model/jobs.ts';
import type { Query } from '../../engine.ts';
import { insertRows, met, prepared } from '../../prepared.ts';
import type { JobsTable } from './tables.ts';

export interface NewJob<K extends JobKind = JobKind> {
  readonly kind: K;
  readonly serverUuid: string;
  readonly input: JobInputs[K];
  readonly context: JobContext;
  readonly now: Micros;
  readonly deadlineSeconds?: number;
  /** Not looked at before; now when absent. */
  readonly notBefore?: Micros;
  /** Known to whoever waits for its end; a new one when absent. */
  readonly uuid?: string;
}

/** Writes jobs, in the transaction that accepts them; then `bus.ring(JOBS_RING)`. */
export async function insertJobs(tx: Query, jobs: readonly NewJob[]): Promise<void> {
  await insertRows(tx, 'jobs', jobs.map(newRow));
}
const newRow = (job: NewJob): Insertable<JobsTable> => ({
  uuid: job.uuid ?? newUuid(),
  kind: job.kind,
  server_uuid: job.serverUuid,
  status: 'queued',
  input: JSON.stringify(job.input),
  progress: '{}',
  attempt: 0,
  priority: jobPriority[job.kind],
  context: JSON.stringify(job.context),
  lease_owner: null,
  lease_until: 0,
  not_before: job.notBefore ?? job.now,
  deadline: job.now + (job.deadlineSeconds ?? jobDeadlineSeconds[job.kind]) * 1_000_000,
  error: null,
  created_at: job.now,
  updated_at: job.now,
});

const UNFINISHED = ['queued', 'running', 'waiting'];

/** Takes jobs nobody works on: queued ones that are due, and with `all` also waiting ones that are due and running ones whose lease ran out.
 *  Per server only the first may be taken: the highest priority, then the oldest. */
export async function takeJobs(
  tx: Query,
  take: { owner: string; now: Micros; until: Micros; limit: number; busy: readonly number[]; all: boolean },
): Promise<Job[]> {
  const due = (status: 'queued' | 'waiting' | 'running') =>
    tx
      .selectFrom('jobs as j')
      .select('j.id')
      .where('j.status', '=', status)
      .where(status === 'running' ? 'j.lease_until' : 'j.not_before', '<=', take.now)
      .$if(take.busy.length > 0 && status === 'running', (q) => q.where('j.id', 'not in', take.busy))
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('jobs as o')
              .select('o.id')
              .whereRef('o.server_uuid', '=', 'j.server_uuid')
              .where('o.status', 'in', UNFINISHED)
              .where((eb) =>
                eb.or([
                  eb('o.priority', '>', eb.ref('j.priority')),
                  eb.and([eb('o.priority', '=', eb.ref('j.priority')), eb('o.id', '<', eb.ref('j.id'))]),
                ]),
              ),
          ),
        ),
      )
      .orderBy(status === 'running' ? 'j.lease_until' : 'j.not_before')
      .limit(take.limit)
      .execute();
  const found = take.all ? [...(await due('queued')), ...(await due('waiting')), ...(await due('running'))] : await due('queued');
  const ids = found.slice(0, take.limit).map((row) => row.id);
  if (ids.length === 0) return [];
  await tx
    .updateTable('jobs')
    .set((eb) => ({
      status: 'running',
      lease_owner: take.owner,
      lease_until: take.until,
      attempt: eb('attempt', '+', 1),
      updated_at: take.now,
    }))
    .where('id', 'in', ids)
    .where((eb) =>
      eb.or([
        eb.and([eb('status', 'in', ['queued', 'waiting']), eb('not_before', '<=', take.now)]),
        eb.and([eb('status', '=', 'running'), eb('lease_until', '<=', take.now)]),
      ]),
    )
    .execute();
  // Another conductor may have been faster with some: only what bears our lease is ours.
  const rows = await tx
    .selectFrom('jobs')
    .selectAll()
    .where('id', 'in', ids)
    .where('lease_owner', '=', take.owner)
    .where('status', '=', 'running')
    .orderBy('id')
    .execute();
  return rows.map(jobFromRow);
}

export function jobFromRow(row: Selectable<JobsTable>): Job {
  return {
    id: row.id,
    uuid: row.uuid,
    kind: row.kind as JobKind, // only insertJobs writes it
    serverUuid: row.server_uuid ?? '',
    input: JSON.parse(row.input) as JobInputs[JobKind],
    progress: progressOf(row.progress),
    attempt: row.attempt,
    context: JSON.parse(row.context) as JobContext,
    deadline: row.deadline,
    createdAt: row.created_at,
  };
}
const progressOf = (text: string): JobProgress => (text === '{}' ? freshProgress : (JSON.parse(text) as JobProgress));

export async function findJob(tx: Query, uuid: string): Promise<(Job & { status: string }) | undefined> {
  const row = await tx.selectFrom('jobs').selectAll().where('uuid', '=', uuid).executeTakeFirst();
  return row && { ...jobFromRow(row), status: row.status };
}
export async function findJobs(tx: Query, uuids: readonly string[]): Promise<(Job & { status: string })[]> {
  if (uuids.length === 0) return [];
  const rows = await tx.selectFrom('jobs').selectAll().where('uuid', 'in', uuids).execute();
  return rows.map((row) => ({ ...jobFromRow(row), status: row.status }));
}

/** Keeps the leases of jobs this owner still works on; those it left run out. */
export async function renewLeases(tx: Query, owner: string, ids: readonly number[], until: Micros): Promise<void> {
  await tx
    .updateTable('jobs')
    .set({ lease_until: until })
    .where('id', 'in', ids)
    .where('lease_owner', '=', owner)
    .where('status', '=', 'running')
    .execute();
}

/** Which job is whose. Engines use ids of rows that are gone again, and the next job with an id may well be this owner's too: only the uuid tells them apart. */
export interface JobLease {
  readonly id: number;
  readonly uuid: string;
  readonly owner: string;
  readonly attempt: number;
}
const heldBy = ({ id, uuid, owner, attempt }: JobLease) => ({ id, uuid, lease_owner: owner, attempt, status: 'running' });
/** Hands one job back as it stands, to be taken again from `notBefore` on. */
export async function handBackJob(tx: Query, lease: JobLease, now: Micros, notBefore: Micros): Promise<void> {
  await tx
    .updateTable('jobs')
    .set({ status: 'queued', lease_owner: null, not_before: notBefore, updated_at: now })
    .where((eb) => eb.and(heldBy(lease)))
    .execute();
}

/** Hands back everything this owner runs, so that another one goes on at once. */
export async function handBackJobs(tx: Query, owner: string, now: Micros): Promise<void> {
  await tx
    .updateTable('jobs')
    .set({ status: 'queued', lease_owner: null, not_before: now, updated_at: now })
    .where('lease_owner', '=', owner)
    .where('status', '=', 'running')
    .execute();
}

/** Ends every lease. Only for who knows that no other conductor is alive: jobs of a former self need not wait for their leases to run out. */
export async function endLeases(tx: Query, now: Micros): Promise<void> {
  await tx.updateTable('jobs').set({ lease_until: now }).where('status', '=', 'running').where('lease_until', '>', now).execute();
}

export type JobTurn =
  | { readonly to: 'running'; readonly progress: JobProgress }
  /** An agent works on it; it is looked at again at `notBefore`. */
  | { readonly to: 'waiting'; readonly progress: JobProgress; readonly notBefore: Micros }
  | { readonly to: 'queued'; readonly progress: JobProgress; readonly notBefore: Micros }
  | { readonly to: 'done' }
  | { readonly to: 'failed'; readonly error: WireError };

const putOff = prepared((db, p: JobLease & { to: string; notBefore: Micros; progress: string; now: Micros }) =>
  db
    .updateTable('jobs')
    .set({ status: p.to, lease_owner: null, not_before: p.notBefore, progress: p.progress, updated_at: p.now })
    .where((eb) => eb.and(heldBy(p))),
);

/** Writes what became of a job, only if the lease is still this owner's and the attempt is still this one. False: it was lost, and the whole
 *  transaction must be given up. Ended jobs leave the table; failed ones stay a while, without their secrets. */
export async function turnJob(tx: Query, lease: JobLease, turn: JobTurn, now: Micros): Promise<boolean> {
  if (turn.to === 'done') {
    const gone = await tx
      .deleteFrom('jobs')
      .where((eb) => eb.and(heldBy(lease)))
      .executeTakeFirst();
    return gone.numDeletedRows > 0n;
  }
  if (turn.to === 'waiting' || turn.to === 'queued')
    return met(await putOff(tx, { ...lease, to: turn.to, notBefore: turn.notBefore, progress: JSON.stringify(turn.progress), now }));
  const set =
    turn.to === 'running'
      ? { progress: JSON.stringify(turn.progress) }
      : { status: 'failed', lease_owner: null, error: JSON.stringify(turn.error), input: '{}' };
  const turned = await tx
    .updateTable('jobs')
    .set({ ...set, updated_at: now })
    .where((eb) => eb.and(heldBy(lease)))
    .executeTakeFirst();
  return turned.numUpdatedRows > 0n;
}

const deleteUnfinished = prepared((db, p: { id: number; attempt: number }) =>
  db.deleteFrom('jobs').where('id', '=', p.id).where('attempt', '=', p.attempt).where('status', 'in', UNFINISHED),
);

/** Ends a job on an agent's word, whoever holds its lease now: `attempt` is the one that was read. False: somebody else was faster. */
export async function endJob(tx: Query, job: Pick<Job, 'id' | 'attempt'>): Promise<boolean> {
  return met(await deleteUnfinished(tx, { id: job.id, attempt: job.attempt }));
}

/** What became of a job: 'unfinished', 'ended', or why it failed. */
export async function jobOutcome(db: Query, uuid: string): Promise<'unfinished' | 'ended' | WireError> {
  const row = await db.selectFrom('jobs').select(['status', 'error']).where('uuid', '=', uuid).executeTakeFirst();
  if (!row) return 'ended';
  return row.status === 'failed' && row.error !== null ? (JSON.parse(row.error) as WireError) : 'unfinished'; // turnJob wrote it
}

/** Gives a job back to the conductors on an agent's word, with what the agent said in its notes. Its present owner, if any, loses the lease. */
export async function requeueJob(tx: Query, job: Pick<Job, 'id' | 'attempt'>, progress: JobProgress, now: Micros): Promise<boolean> {
  const turned = await tx
    .updateTable('jobs')
    .set((eb) => ({
      status: 'queued',
      lease_owner: null,
      attempt: eb('attempt', '+', 1),
      not_before: now,
      progress: JSON.stringify(progress),
      updated_at: now,
    }))
    .where('id', '=', job.id)
    .where('attempt', '=', job.attempt)
    .where('status', 'in', UNFINISHED)
    .executeTakeFirst();
  return turned.numUpdatedRows > 0n;
}

/** Takes every other unfinished job of a server away from its owner: the one that runs now has overtaken them. Answers what they were. */
export async function overtakeJobs(tx: Query, serverUuid: string, except: number): Promise<Job[]> {
  const others = await tx
    .selectFrom('jobs')
    .selectAll()
    .where('server_uuid', '=', serverUuid)
    .where('id', '<>', except)
    .where('status', 'in', UNFINISHED)
    .where('kind', '<>', 'settle-request' satisfies JobKind) // it outlives its server
    .execute();
  if (others.length === 0) return [];
  await tx
    .deleteFrom('jobs')
    .where(
      'id',
      'in',
      others.map((row) => row.id),
    )
    .execute();
  return others.map(jobFromRow);
}

/** Takes a job away that nobody has begun. False: somebody has, or it is gone. */
export async function dropJob(tx: Query, uuid: string): Promise<boolean> {
  const { numDeletedRows } = await tx.deleteFrom('jobs').where('uuid', '=', uuid).where('status', '=', 'queued').executeTakeFirst();
  return numDeletedRows > 0n;
}
/** Whether another job of the server has not ended. */
export async function otherJobs(tx: Query, serverUuid: string, except: number): Promise<boolean> {
  const other = await tx
    .selectFrom('jobs')
    .select('id')
    .where('server_uuid', '=', serverUuid)
    .where('id', '<>', except)
    .where('status', 'in', UNFINISHED)
    .where('kind', '<>', 'settle-request' satisfies JobKind)
    .limit(1)
    .executeTakeFirst();
  return other !== undefined;
}
export async function raiseJob(tx: Query, id: number, priority: number): Promise<void> {
  await tx.updateTable('jobs').set({ priority }).where('id', '=', id).execute();
}

/** Lets a server's jobs of a kind that pause be looked at now. */
export async function hurryJobs(tx: Query, serverUuid: string, kind: JobKind, now: Micros): Promise<void> {
  await tx
    .updateTable('jobs')
    .set({ not_before: now })
    .where('server_uuid', '=', serverUuid)
    .where('kind', '=', kind)
    .where('status', '=', 'queued')
    .where('not_before', '>', now)
    .execute();
}

/** Forgets failed jobs from before a time. */
export async function forgetFailedJobs(tx: Query, before: Micros): Promise<void> {
  await tx.deleteFrom('jobs').where('status', '=', 'failed').where('updated_at', '<', before).execute();
}

/** Brings jobs of a server that wait for a later look to the conductors' notice now; then ring. */
export async function wakeJobs(tx: Query, serverUuid: string, kind: JobKind, now: Micros): Promise<void> {
  await tx
    .updateTable('jobs')
    .set({ status: 'queued', not_before: now, updated_at: now })
    .where('server_uuid', '=', serverUuid)
    .where('kind', '=', kind)
    .where('status', '=', 'waiting')
    .execute();
}
