import { computeAgentContract } from '../../bus/contracts/compute-agent.ts';
import type { Query } from '../../db/engine.ts';
import { findAction, insertEvents } from '../../db/tables/compute/actions.ts';
import { findHost, isUp } from '../../db/tables/compute/hosts.ts';
import { overtakeJobs } from '../../db/tables/compute/jobs.ts';
import { FINISHED, openMigrations, setMigration } from '../../db/tables/compute/migrations.ts';
import { giveBackExcess, leaveOldPlace, unreservePlace } from '../../db/tables/compute/moving.ts';
import { faultText, releaseServer, setServer } from '../../db/tables/compute/placing.ts';
import { toServer } from '../../db/tables/compute/servers.ts';
import { findShelf, takeOffShelf } from '../../db/tables/compute/shelves.ts';
import type { Micros } from '../../lib/clock.ts';
import type { Job, ShelveServerInput, SnapshotServerInput, TidyHostInput } from '../../model/jobs.ts';
import type { Server } from '../../model/server.ts';
import { askIfPossible } from './move-steps.ts';
import { closeAction, faultOf } from './outcome.ts';
import type { JobSpec, Run, Step } from './run-job.ts';
import { dropDevices, letGo } from './server-volumes.ts';
import { dropSnapshots } from './snapshot-volumes.ts';

/** How far a move that was overtaken may have raised a guest's epoch above its server's. */
const MOVE_EPOCHS = 2;
export const DELETE_EVENT = 'compute_terminate_instance';

/** Deletes a server from every state. It takes every other job of the server away first, and then does all their undoing by itself: what a build
 *  may have left (claim, group place, ports, guest) is found by the server's uuid. */
export const deleteServer: JobSpec<'delete-server'> = {
  get steps() {
    return [others, destroy, release];
  },
  finish: (run) => run.commit(async () => ({ to: 'done' })),
  async fail(run, cause) {
    const at = run.parts.clock.now();
    await run.commit(async (tx) => {
      // One that was deleted softly has no quota: it stays so, and may be deleted or restored again.
      const vm_state = run.server.softDeletedAt === null ? 'error' : 'soft-delete';
      const set = { vm_state, task_state: null, task_deadline: null, fault: faultText(faultOf(cause, at)) };
      await setServer(tx, run.server, set, { what: 'delete-failed', at, own: 'deleting', body: { fault: cause.message } });
      await closeAction(tx, run.job, { at, error: cause.message });
      return { to: 'failed' };
    });
  },
};

/** Hosts of a move that has not ended, or that have not been tidied yet: whatever they have of the server goes. One that is down or mute does it by
 *  itself when it hears that the server is gone. */
const others: Step<'delete-server'> = {
  name: 'others',
  atomic: true,
  async do(run) {
    const { parts, job } = run;
    if (run.progress.notes.others === undefined) {
      let server = run.server;
      await run.commit(async (tx) => {
        const at = parts.clock.now();
        const { overtaken, now } = await overtake(tx, run, at);
        server = now ?? run.server;
        const moves = await openMigrations(tx, job.serverUuid);
        const tidying = overtaken.flatMap((other) => (other.kind === 'tidy-host' ? [(other.input as TidyHostInput).host] : [])); // by its kind
        const hosts = [...moves.flatMap((move) => [move.sourceHost, move.destHost]), ...tidying].filter((host) => host !== null);
        const shelf = await findShelf(tx, server.uuid);
        const images = [...imagesIn(run), ...imagesOf(overtaken), ...(shelf?.imageId ? [shelf.imageId] : [])];
        return { notes: { others: [...new Set(hosts)].filter((host) => host !== server.host), images, volumesBegun: begun(overtaken) } };
      });
      run.server = server;
      run.point('others', 'middle');
    }
    for (const host of (run.progress.notes.others as string[] | undefined) ?? []) {
      const epoch = run.server.epoch + MOVE_EPOCHS;
      const said = await askIfPossible(run, { step: `drop:${host}`, deed: 'dropGuest', args: {}, host, epoch });
      if (said === 'waiting') return said;
    }
    return 'finished';
  },
};

/** Images that were to be made of the server, or that it waits in. */
const imagesIn = (run: DeleteRun) => (run.progress.notes.images as string[] | undefined) ?? []; // written by the steps
const imagesOf = (overtaken: readonly Job[]) =>
  overtaken.flatMap((other) => {
    if (other.kind === 'snapshot-server' || other.kind === 'snapshot-volumes') return [(other.input as SnapshotServerInput).imageId]; // by its kind
    const shelved = other.kind === 'shelve-server' ? (other.input as ShelveServerInput).imageId : null;
    return shelved === null ? [] : [shelved];
  });

/** Whether a build was about to make volumes, and may have made one that it did not come to write down. */
const begun = (overtaken: readonly Job[]) =>
  overtaken.some((other) => other.kind === 'build-server' && other.progress.steps.volumes === 'started');

/** Takes every other job away, then reads the server: a build or move may have placed it since this job was taken, and no one can any more. */
async function overtake(tx: Query, run: DeleteRun, at: Micros): Promise<{ overtaken: Job[]; now: Server | undefined }> {
  const overtaken = await overtakeJobs(tx, run.job.serverUuid, run.job.id);
  for (const other of overtaken) await closeAction(tx, other, { at, error: 'The server was deleted meanwhile.' });
  const row = await tx.selectFrom('servers').selectAll().where('uuid', '=', run.job.serverUuid).executeTakeFirst();
  return { overtaken, now: row && toServer(row) };
}

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
      const { overtaken, now } = await overtake(tx, run, at);
      if (now) server = now;
      const known = server.host === null ? undefined : await findHost(tx, { host: server.host });
      up = known !== undefined && isUp(known, clock.now(), options.serviceDownTime);
      if (server.taskState !== 'deleting') await setServer(tx, server, { task_state: 'deleting' }, { what: 'deleting', at });
      images = [...imagesIn(run), ...imagesOf(overtaken)];
      const late = begun(overtaken) ? { volumesBegun: true } : {};
      if (!up) return { marks: { destroy: 'finished' }, notes: { images, ...late } };
      if (tells === 1) {
        const action = await findAction(tx, server.uuid, job.context.requestId);
        const event = { event: DELETE_EVENT, host: server.host, startedAt: at, finishedAt: null, result: null, details: null };
        if (action !== undefined) await insertEvents(tx, action, [event]);
      }
      return {
        to: 'waiting',
        marks: { destroy: 'started' },
        notes: { tells, images, ...late },
        inMs: options.resendMs * Math.min(6, tells),
      };
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
    if (run.server.volumes.length > 0) {
      // Snapshots for an image that nobody finishes would hold their volumes.
      for (const image of imagesIn(run)) await dropSnapshots(run, run.server.uuid, image);
      await letGo(run, run.server, () => true, run.progress.notes.volumesBegun === true);
    }
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
  for (const move of await openMigrations(tx, server.uuid)) {
    if (server.host === move.destHost && server.host !== move.sourceHost) await leaveOldPlace(tx, server, move, at);
    else await unreservePlace(tx, server, move, at);
    await giveBackExcess(tx, server.projectId, move, server.flavor);
    const status = move.status === FINISHED ? 'confirmed' : move.type === 'live-migration' ? 'cancelled' : 'error';
    await setMigration(tx, move.uuid, { status }, at);
  }
  await takeOffShelf(tx, server.uuid);
  await releaseServer(tx, server, server.flavor, at);
  await closeAction(tx, job, { at, error: null });
}
export type DeleteRun = Run<'delete-server'>;
