import type { AgentReport } from '../../bus/contracts/conductor.ts';
import type { DeedArgs, DeedName } from '../../bus/contracts/guest-deeds.ts';
import type { Query } from '../../db/engine.ts';
import { FINISHED, openMigrations } from '../../db/tables/compute/migrations.ts';
import { faultText, setServer } from '../../db/tables/compute/placing.ts';
import { giveBackQuota, shareOf } from '../../db/tables/compute/quotas.ts';
import type { NextTask } from '../../db/tables/compute/task-word.ts';
import type { Micros } from '../../lib/clock.ts';
import { CloudError } from '../../model/errors.ts';
import { type GuestAction, guestActions } from '../../model/guest-actions.ts';
import type { Job } from '../../model/jobs.ts';
import { powerStates, type Server } from '../../model/server.ts';
import { confirmMove } from './confirm-resize.ts';
import { askDeed } from './deed-step.ts';
import { closeAction, faultOf } from './outcome.ts';
import type { JobSpec, Step } from './run-job.ts';

export const ACT = 'act';
const actionOf = (job: Job<'act-on-server'>): GuestAction => guestActions[job.input.action];

/** One deed to a guest where it stands: start, stop, reboot, pause, suspend, rescue and their like. When it fails the server is what it was before, or
 *  in ERROR, as its action says, with the reason. */
export const actOnServer: JobSpec<'act-on-server'> = {
  get steps() {
    return [act];
  },
  finish: (run) => run.commit(async () => ({ to: 'done' })), // the agent's report ended it already (server-reports.ts)
  async fail(run, cause) {
    const at = run.parts.clock.now();
    const { failed, taskState, softDelete } = actionOf(run.job);
    await run.commit(async (tx) => {
      // Else it is what it was: nothing but the end of a deed changes that.
      const state = failed === 'error' ? { vm_state: 'error' } : {};
      const fault = faultText(faultOf(cause, at));
      const again = softDelete === 'ends' ? { soft_deleted_at: run.job.input.softDeletedAt ?? at } : {};
      const set = taskState === null ? { fault } : { ...state, task_state: null, task_deadline: null, fault, ...again };
      const body = { ...about(run.job), fault: cause.message };
      const stands = await setServer(tx, run.server, set, { what: 'action-failed', at, own: ownTask(run.job), body });
      if (stands && softDelete === 'ends') await giveBackQuota(tx, run.server.projectId, shareOf(run.server.flavor));
      await closeAction(tx, run.job, { at, error: cause.message });
      return { to: 'failed' };
    });
  },
};

const ownTask = (job: Job<'act-on-server'>): NextTask | undefined => (actionOf(job).softDelete === 'begins' ? 'soft-deleting' : undefined);

/** What notifications of it say beside the server. */
function about({ input }: Job<'act-on-server'>): { imageId: string } | undefined {
  const image = input.args.image as { readonly id?: unknown } | undefined; // of a rescue, as the deed's shape has it
  return typeof image?.id === 'string' ? { imageId: image.id } : undefined;
}

const act: Step<'act-on-server'> = {
  name: ACT,
  atomic: true,
  async do(run) {
    const { deed, event, running, softDelete } = actionOf(run.job);
    try {
      const said = await askDeed(run, {
        step: ACT,
        deed: deed as DeedName, // a test holds the two tables together
        args: { graceMs: run.parts.options.shutdownGraceMs, ...run.job.input.args } as DeedArgs<DeedName>, // the agent checks them
        event,
        details: about(run.job) ?? {},
        ...(running === null ? {} : { set: { task_state: running, task_deadline: run.job.deadline + 60_000_000 } }),
      });
      return said === 'waiting' ? said : 'finished';
    } catch (cause) {
      // What is to be deleted need not be there.
      if (softDelete !== 'begins' || !(cause instanceof CloudError) || cause.code !== 'guest.not_found') throw cause;
      await run.commit(async (tx) => {
        await recordAct(tx, run.server, run.job, run.server, run.parts.clock.now());
        return { to: 'done' };
      });
      return 'waiting';
    }
  },
};

/** What a deed that succeeded makes of the server, in the transaction that ends the job. */
export async function recordAct(
  tx: Query,
  report: Pick<AgentReport, 'epoch'>,
  job: Job<'act-on-server'>,
  server: Server,
  at: Micros,
): Promise<void> {
  const { vmState, power, taskState, softDelete } = actionOf(job);
  const softly = softDelete === 'begins' && server.softDeletedAt === null;
  const set = {
    ...(vmState === null ? {} : { vm_state: vmState }),
    ...(power === null ? {} : { power_state: powerStates[power] }),
    ...(taskState === null ? {} : { task_state: null, task_deadline: null }),
    ...(softly ? { soft_deleted_at: at } : {}),
  };
  if (Object.keys(set).length > 0) {
    const more = { what: 'power', at, epoch: report.epoch, own: ownTask(job), body: about(job) ?? {} };
    const stands = await setServer(tx, server, set, more);
    if (stands && softly) {
      await giveBackQuota(tx, server.projectId, shareOf(server.flavor));
      // What is restored some day is the server as it is now: a delete confirms its resize.
      for (const move of await openMigrations(tx, server.uuid)) if (move.status === FINISHED) await confirmMove(tx, job, server, move, at);
    }
  }
  await closeAction(tx, job, { at, error: null });
}
