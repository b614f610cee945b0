import { computeAgentContract } from '../../bus/contracts/compute-agent.ts';
import { findAction, insertEvents } from '../../db/tables/compute/actions.ts';
import { findHost, isUp } from '../../db/tables/compute/hosts.ts';
import { faultText, setServer } from '../../db/tables/compute/placing.ts';
import { rebuildError, type WireError } from '../../model/errors.ts';
import { hostDown } from '../../model/errors-conductor.ts';
import type { PowerServerInput } from '../../model/jobs.ts';
import { powerStates } from '../../model/server.ts';
import { closeAction, faultOf } from './outcome.ts';
import type { JobSpec, Step } from './run-job.ts';

type Action = PowerServerInput['action'];
/** What each action is called in Nova, what the server is while it runs and after it. */
export const powerActions: Readonly<Record<Action, { event: string; taskState: string; vmState: string; powerState: number }>> = {
  start: { event: 'compute_start_instance', taskState: 'powering-on', vmState: 'active', powerState: powerStates.running },
  stop: { event: 'compute_stop_instance', taskState: 'powering-off', vmState: 'stopped', powerState: powerStates.shutdown },
  'reboot-soft': { event: 'compute_reboot_instance', taskState: 'reboot_started', vmState: 'active', powerState: powerStates.running },
  'reboot-hard': { event: 'compute_reboot_instance', taskState: 'reboot_started_hard', vmState: 'active', powerState: powerStates.running },
};

/** Starts, stops or reboots a server. When it fails the server is what it was before, with the reason. */
export const powerServer: JobSpec<'power-server'> = {
  get steps() {
    return [power];
  },
  finish: (run) => run.commit(async () => ({ to: 'done' })),
  async fail(run, cause) {
    const at = run.parts.clock.now();
    await run.commit(async (tx) => {
      const set = { vm_state: run.job.input.vmStateBefore, task_state: null, task_deadline: null, fault: faultText(faultOf(cause, at)) };
      await setServer(tx, run.server, set, { what: 'power-failed', at, body: { fault: cause.message } });
      await closeAction(tx, run.job, { at, error: cause.message });
      return { to: 'failed' };
    });
  },
};

const power: Step<'power-server'> = {
  name: 'power',
  atomic: true,
  async do(run) {
    const { parts, server, job } = run;
    const { clock, options, db } = parts;
    const failed = run.progress.notes.failed as { error: WireError } | null | undefined; // written by server-reports.ts
    if (failed) throw rebuildError(failed.error);
    const known = server.host === null ? undefined : await findHost(db.read, { host: server.host });
    if (server.host === null || !known || !isUp(known, clock.now(), options.serviceDownTime)) throw hostDown({ host: server.host ?? '' });
    const tells = Number(run.progress.notes.tells ?? 0) + 1;
    const kind = powerActions[job.input.action];
    const at = clock.now();
    await run.commit(async (tx) => {
      if (tells === 1) {
        const set = { task_state: kind.taskState, task_deadline: job.deadline + 60_000_000 };
        await setServer(tx, server, set, { what: 'power', at });
        const action = await findAction(tx, server.uuid, job.context.requestId);
        const event = { event: kind.event, host: server.host, startedAt: at, finishedAt: null, result: null, details: null };
        if (action !== undefined) await insertEvents(tx, action, [event]);
      }
      return { to: 'waiting', marks: { power: 'started' }, notes: { tells }, inMs: options.resendMs * Math.min(6, tells) };
    });
    run.point('power', 'middle');
    const command = {
      jobUuid: job.uuid,
      uuid: server.uuid,
      epoch: server.epoch,
      deadline: job.deadline,
      action: job.input.action,
      graceMs: options.shutdownGraceMs,
    };
    await parts.bus
      .tell(computeAgentContract, 'powerServer', command, { host: server.host })
      .catch((cause) => parts.log.warn({ err: cause, server: server.uuid }, 'a power command could not be sent yet'));
    return 'waiting';
  },
};
