import { computeAgentContract } from '../../bus/contracts/compute-agent.ts';
import type { Query } from '../../db/engine.ts';
import { findAction, insertEvents } from '../../db/tables/compute/actions.ts';
import { findHost, isUp } from '../../db/tables/compute/hosts.ts';
import { overtakeJobs } from '../../db/tables/compute/jobs.ts';
import { faultText, releaseServer, setServer } from '../../db/tables/compute/placing.ts';
import { toServer } from '../../db/tables/compute/servers.ts';
import type { Micros } from '../../lib/clock.ts';
import type { Job, SnapshotServerInput } from '../../model/jobs.ts';
import type { Server } from '../../model/server.ts';
import { closeAction, faultOf } from './outcome.ts';
import type { JobSpec, Run, Step } from './run-job.ts';
import { dropDevices, letGo } from './server-volumes.ts';

export const DELETE_EVENT = 'compute_terminate_instance';

/** Deletes a server from every state. It takes every other job of the server away first, and then does all their undoing by itself: what a build
 *  may have left (claim, group place, ports, guest) is found by the server's uuid. */
export const deleteServer: JobSpec<'delete-server'> = {
  get steps() {
    return [destroy, release];
  },
  finish: (run) => run.commit(async () => ({ to: 'done' })),
  async fail(run, cause) {
    const at = run.parts.clock.now();
    await run.commit(async (tx) => {
      const set = { vm_state: 'error', task_state: null, task_deadline: null, fault: faultText(faultOf(cause, at)) };
      await setServer(tx, run.server, set, { what: 'delete-failed', at, body: { fault: cause.message } });
      await closeAction(tx, run.job, { at, error: cause.message });
      return { to: 'failed' };
    });
  },
};

/** The host's part: an agent that lives destroys the guest, and its report ends the job (server-reports.ts). */
const destroy: Step<'delete-server'> = {
  name: 'destroy',
  atomic: true,
  async do(run) {
    const { parts, job } = run;
    const { clock, options } = parts;
    const tells = Number(run.progress.notes.tells ?? 0) + 1;
    const at = clock.now();
    let server = run.server;
    let up = false;
    let images: readonly string[] = [];
    await run.commit(async (tx) => {
      const overtaken = await overtakeJobs(tx, server.uuid, job.id);
      for (const other of overtaken) await closeAction(tx, other, { at, error: 'The server was deleted meanwhile.' });
      // Read behind the overtaking: a build may have placed the server since this job was taken, and no one can any more.
      const row = await tx.selectFrom('servers').selectAll().where('uuid', '=', job.serverUuid).executeTakeFirst();
      if (row) server = toServer(row);
      const known = server.host === null ? undefined : await findHost(tx, { host: server.host });
      up = known !== undefined && isUp(known, clock.now(), options.serviceDownTime);
      if (server.taskState !== 'deleting') await setServer(tx, server, { task_state: 'deleting' }, { what: 'deleting', at });
      // Disks of it that were to become images: nobody uploads them any more.
      const left = overtaken.flatMap((other) => (other.kind === 'snapshot-server' ? [(other.input as SnapshotServerInput).imageId] : [])); // by its kind
      images = [...((run.progress.notes.images as string[] | undefined) ?? []), ...left]; // written below
      if (!up) return { marks: { destroy: 'finished' }, notes: { images } };
      if (tells === 1) {
        const action = await findAction(tx, server.uuid, job.context.requestId);
        const event = { event: DELETE_EVENT, host: server.host, startedAt: at, finishedAt: null, result: null, details: null };
        if (action !== undefined) await insertEvents(tx, action, [event]);
      }
      return { to: 'waiting', marks: { destroy: 'started' }, notes: { tells, images }, inMs: options.resendMs * Math.min(6, tells) };
    });
    run.server = server;
    for (const id of images)
      await parts.images
        .remove(id)
        .catch((cause) =>
          parts.log.warn({ err: cause, server: server.uuid, image: id }, 'the image of a deleted server could not be removed'),
        );
    if (!up) return 'finished';
    run.point('destroy', 'middle');
    const command = { jobUuid: job.uuid, uuid: server.uuid, epoch: server.epoch, deadline: job.deadline, releaseNetwork: true };
    await parts.bus
      .tell(computeAgentContract, 'destroyServer', command, { host: server.host ?? '' })
      .catch((cause) => parts.log.warn({ err: cause, server: server.uuid }, 'a destroy command could not be sent yet'));
    return 'waiting';
  },
};

/** Without a host, or with one that is down: the agent puts the guest away when it returns and finds that it is no longer its own. */
const release: Step<'delete-server'> = {
  name: 'release',
  atomic: true,
  async do(run) {
    await run.parts.network.release(run.server.uuid);
    if (run.server.volumes.length > 0) await letGo(run, run.server, () => true);
    run.point('release', 'middle');
    await run.commit(async (tx) => {
      await endServer(tx, run.job, run.server, run.parts.clock.now());
      return { to: 'done' };
    });
    return 'waiting';
  },
};

/** The end of a server, in the transaction that ends the job. */
export async function endServer(tx: Query, job: Pick<Job, 'serverUuid' | 'context'>, server: Server, at: Micros): Promise<void> {
  if (server.volumes.length > 0) await dropDevices(tx, server.uuid);
  await releaseServer(tx, server, server.flavor, at);
  await closeAction(tx, job, { at, error: null });
}
export type DeleteRun = Run<'delete-server'>;
