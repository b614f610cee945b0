import type { Query } from '../../db/engine.ts';
import { type JobTurn, turnJob } from '../../db/tables/compute/jobs.ts';
import type { Micros } from '../../lib/clock.ts';
import { CloudError, rebuildError, type WireError, wireError } from '../../model/errors.ts';
import { jobDeadlinePassed, leaseLost } from '../../model/errors-conductor.ts';
import type { Job, JobKind, JobProgress, StepMark } from '../../model/jobs.ts';
import type { Server } from '../../model/server.ts';
import type { ConductorParts, Phase } from './parts.ts';

/** What a transaction of a job makes of the job itself. Marks and notes are added to those that stand. */
export interface Turn {
  readonly to?: 'running' | 'waiting' | 'queued' | 'done' | 'failed';
  readonly marks?: Readonly<Record<string, StepMark>>;
  readonly notes?: Readonly<Record<string, unknown>>;
  readonly failure?: WireError;
  /** For 'waiting' and 'queued': when it is looked at again. */
  readonly inMs?: number;
}

/** One job in the hands of this conductor. */
export interface Run<K extends JobKind = JobKind> {
  readonly parts: Parts;
  readonly job: Job<K>;
  /** As it was when the job was taken, with what the job did to it since. */
  server: Server;
  readonly progress: JobProgress;
  /** One transaction guarded by our lease: the writing and the job's own turn, or neither. A writing that answers null changes nothing of the job.
   *  Throws leaseLost. */
  commit(write: (tx: Query) => Promise<Turn | null>): Promise<void>;
  /** Lets a test look or strike here. */
  point(step: string, phase: Phase): void;
}
export interface Parts extends ConductorParts {
  /** Called after each transaction that wrote changes. */
  readonly changed: () => void;
}

/** One step of a durable job. `do` and `undo` are safe to run twice: we may die half way through either. */
export interface Step<K extends JobKind> {
  readonly name: string;
  /** The step's whole effect is one commit, which marks it too; otherwise 'started' is written before it is done. */
  readonly atomic?: true;
  /** 'finished': on to the next. 'waiting': the job was handed on in a commit. 'again': marks were taken back, start over. */
  do(run: Run<K>): Promise<'finished' | 'waiting' | 'again'>;
  /** 'waiting': the job was handed on in a commit, and is undone further when it comes back. */
  undo?(run: Run<K>): Promise<undefined | 'waiting'>;
}
export interface JobSpec<K extends JobKind> {
  readonly steps: readonly Step<K>[];
  /** All steps are finished: ends the job (in a commit). */
  finish(run: Run<K>): Promise<void>;
  /** Everything is undone: says so in the server's row and ends the job (in a commit). */
  fail(run: Run<K>, cause: CloudError): Promise<void>;
}

export function openRun<K extends JobKind>(parts: Parts, job: Job<K>, server: Server): Run<K> {
  let progress = job.progress;
  const { db, clock, options, onStep } = parts;
  return {
    parts,
    job,
    server,
    get progress() {
      return progress;
    },
    async commit(write) {
      let next = progress;
      await db.transaction(async (tx) => {
        next = progress;
        const turn = await write(tx);
        if (turn === null) return;
        next = {
          steps: turn.marks ? { ...progress.steps, ...turn.marks } : progress.steps,
          notes: turn.notes ? { ...progress.notes, ...turn.notes } : progress.notes,
          ...(turn.failure ? { failure: turn.failure } : progress.failure ? { failure: progress.failure } : {}),
        };
        const now = clock.now();
        const at = { progress: next, notBefore: now + (turn.inMs ?? 0) * 1000 };
        const to = turn.to ?? 'running';
        const whole: JobTurn =
          to === 'done' ? { to } : to === 'failed' ? { to, error: turn.failure ?? next.failure ?? wireError('') } : { to, ...at };
        if (!(await turnJob(tx, { id: job.id, uuid: job.uuid, owner: options.name, attempt: job.attempt }, whole, now)))
          throw leaseLost({ job: job.uuid });
      });
      progress = next;
      parts.changed();
    },
    point(step, phase) {
      if (options.crashAt === `${job.kind}.${step}.${phase}`) process.kill(process.pid, 'SIGKILL');
      onStep?.(job.kind, step, phase);
    },
  };
}

const UNDO_TRIES = 20;
const triesKey = (step: string) => `undo-tries:${step}`;
/** How often the undo of a step has failed. A deed of it goes by another name each time: an agent does what has one name once. */
export const undoTries = (run: Pick<Run, 'progress'>, step: string) => Number(run.progress.notes[triesKey(step)] ?? 0);
/** How long a job waits for a service beside us that does not answer, and when it has not been missed for as long, it was back in between. A delete waits to
 *  its end, because nothing can be taken back there. */
const PATIENCE_US = 300_000_000;

/** Whether a service beside us is away: what was asked may be asked again. What an agent said of its own neighbours is its outcome, and stays. */
function isAway(run: Run, cause: unknown): cause is CloudError {
  if (!(cause instanceof CloudError) || cause.kind !== 'unavailable') return false;
  if (cause.code !== 'neighbour.unavailable' && !cause.code.endsWith('.answered_503')) return false;
  const said = Object.entries(run.progress.notes).some(([key, note]) => {
    const { error } = (key === 'failed' || key.startsWith('said:') ? (note ?? {}) : {}) as { readonly error?: WireError | null }; // server-reports.ts
    return error?.code === cause.code;
  });
  return !said;
}
/** Hands the job back until the service answers. False: it has waited long enough. */
async function waitsLonger(run: Run, cause: CloudError): Promise<boolean> {
  const { job, parts, progress } = run;
  const now = parts.clock.now();
  const { awaySince: before = now, awayAt: last = now } = progress.notes as { readonly awaySince?: Micros; readonly awayAt?: Micros }; // written below
  const awaySince = now - last > PATIENCE_US ? now : before;
  if (now >= (job.kind === 'delete-server' ? job.deadline : Math.min(job.deadline, awaySince + PATIENCE_US))) return false;
  parts.log.warn({ job: job.uuid, kind: job.kind, server: job.serverUuid, err: cause }, 'a service does not answer; asked again soon');
  await run.commit(async () => ({ to: 'queued', notes: { awaySince, awayAt: now }, inMs: Math.min(2000, parts.options.resendMs) }));
  return true;
}

/** Goes on with a job from wherever its last owner left it. On failure every begun step is undone, backwards, and the server told why.
 *  Throws only what makes this conductor leave the job to whoever comes next: a lost lease, a database that is away, a test's death. */
export async function runJob<K extends JobKind>(spec: JobSpec<K>, run: Run<K>): Promise<void> {
  try {
    if (!run.progress.failure) return await forward(spec, run);
  } catch (cause) {
    if (leaves(cause)) throw cause;
    if (isAway(run, cause) && (await waitsLonger(run, cause))) return;
    run.parts.log.warn({ job: run.job.uuid, kind: run.job.kind, server: run.job.serverUuid, err: cause }, 'a job failed and is undone');
    await run.commit(async () => ({ failure: wireError(cause) }));
  }
  await unwind(spec, run);
}

async function forward<K extends JobKind>(spec: JobSpec<K>, run: Run<K>): Promise<void> {
  mustBeInTime(spec, run);
  for (let at = 0; at < spec.steps.length; at++) {
    const step = spec.steps[at]!;
    const mark = run.progress.steps[step.name];
    if (mark === 'finished') continue;
    if (!step.atomic && mark !== 'started') await run.commit(async () => ({ marks: { [step.name]: 'started' } }));
    run.point(step.name, 'before');
    const end = await step.do(run);
    if (end === 'waiting') return;
    if (end === 'again') {
      at = -1;
      continue;
    }
    run.point(step.name, 'after');
    if (run.progress.steps[step.name] !== 'finished') await run.commit(async () => ({ marks: { [step.name]: 'finished' } }));
  }
  await spec.finish(run);
}

async function unwind<K extends JobKind>(spec: JobSpec<K>, run: Run<K>): Promise<void> {
  const failure = run.progress.failure ?? wireError('unknown');
  for (const step of [...spec.steps].reverse()) {
    const mark = run.progress.steps[step.name];
    if (mark === undefined || mark === 'undone') continue;
    try {
      run.point(step.name, 'undo');
      if ((await step.undo?.(run)) === 'waiting') return;
    } catch (cause) {
      if (leaves(cause)) throw cause;
      const tries = undoTries(run, step.name) + 1;
      run.parts.log.error({ job: run.job.uuid, step: step.name, tries, err: cause }, 'an undo failed');
      if (tries < UNDO_TRIES) {
        const notes = { [triesKey(step.name)]: tries };
        await run.commit(async () => ({ to: 'queued', notes, inMs: Math.min(60_000, 500 * 2 ** tries) }));
        return;
      }
    }
    if (run.progress.steps[step.name] !== 'undone') await run.commit(async () => ({ marks: { [step.name]: 'undone' } }));
  }
  await spec.fail(run, rebuildError(failure));
}

function mustBeInTime<K extends JobKind>(spec: JobSpec<K>, run: Run<K>): void {
  const { job, parts } = run;
  if (parts.clock.now() < job.deadline) return;
  const step = spec.steps.find((one) => run.progress.steps[one.name] !== 'finished')?.name ?? 'end';
  throw jobDeadlinePassed({ kind: job.kind, seconds: Math.round((job.deadline - job.createdAt) / 1_000_000), step });
}

/** Thrown by tests from `onStep`: this conductor does nothing more for the job, as if it had died. */
export const died = new CloudError('job.died', 'internal', 'the conductor died here');
/** What makes a conductor leave a job to whoever comes next. */
export const leaves = (cause: unknown) =>
  cause === died || (cause instanceof CloudError && (cause.code === 'job.lease_lost' || cause.code.startsWith('database.')));
