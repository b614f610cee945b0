import { type Announcer, openAnnouncer, tellSoon } from '../../bus/announcer.ts';
import { conductorContract } from '../../bus/contracts/conductor.ts';
import { endLeases, handBackJob, handBackJobs, renewLeases, takeJobs } from '../../db/tables/compute/jobs.ts';
import { openMigrations, setMigration } from '../../db/tables/compute/migrations.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import { toServer } from '../../db/tables/compute/servers.ts';
import { every } from '../../lib/clock.ts';
import { CloudError } from '../../model/errors.ts';
import { JOBS_RING, type Job, type JobKind } from '../../model/jobs.ts';
import type { Server } from '../../model/server.ts';
import { goesOn } from '../../model/server-states.ts';
import { actOnServer } from './act-on-server.ts';
import { buildServer } from './build-server.ts';
import { cacheAggregateImages } from './cache-images.ts';
import { confirmResize } from './confirm-resize.ts';
import { deleteServer } from './delete-server.ts';
import { evacuateServer } from './evacuate-server.ts';
import { listOwned, registerHost, reportHost, reportService } from './hosts.ts';
import { attachInterface, detachInterface } from './interfaces.ts';
import { liveMigrate } from './live-migrate.ts';
import { moveServer } from './move-server.ts';
import { lookAtMoves } from './move-timers.ts';
import { keepVolumeUse, tellMetrics, tellVolumeUse } from './notifications/host-news.ts';
import { startNotifier } from './notifications/notifier.ts';
import { auditUsage } from './notifications/usage-audit.ts';
import { closeAction } from './outcome.ts';
import type { ConductorParts } from './parts.ts';
import { noteProgress, showProgress } from './phase-events.ts';
import { reap } from './reaper.ts';
import { rebuildServer } from './rebuild-server.ts';
import { revertResize } from './revert-resize.ts';
import { died, type JobSpec, openRun, type Parts, runJob } from './run-job.ts';
import { startSequencer } from './sequencer.ts';
import { mustOwnHost, noteEvent, recordReports } from './server-reports.ts';
import { settleRequest } from './settle-request.ts';
import { offloadServer, shelveServer } from './shelve-server.ts';
import { snapshotServer } from './snapshot-server.ts';
import { snapshotVolumes } from './snapshot-volumes.ts';
import { swapVolume } from './swap-volume.ts';
import { tidyHost } from './tidy-host.ts';
import { unshelveServer } from './unshelve-server.ts';
import { attachVolume, detachVolume, extendVolume } from './volume-jobs.ts';

export interface Conductor {
  /** Ends the parts that begin new work, waits for the jobs in hand, and gives the rest back. */
  stop(): Promise<void>;
  /** Jobs in hand now. */
  busy(): number;
}

const GATHER_MS = 5;
const STOP_GRACE_MS = 3000;

/** Starts a conductor: the only one who decides and records. Any number of them share one job table. */
export async function startConductor(given: ConductorParts): Promise<Conductor> {
  const { db, bus, clock, log, options } = given;
  if (options.alone) await db.transaction((tx) => endLeases(tx, clock.now()));
  const sequencer = await startSequencer(given);
  const announcer = openAnnouncer(given);
  const notifier = announcer && (await startNotifier(given, announcer));
  const parts: Parts = { ...given, changed: () => sequencer.wake() };
  const specs: { readonly [K in JobKind]: JobSpec<K> } = {
    'build-server': buildServer(parts),
    'delete-server': deleteServer,
    'act-on-server': actOnServer,
    'attach-interface': attachInterface,
    'detach-interface': detachInterface,
    'snapshot-server': snapshotServer,
    'snapshot-volumes': snapshotVolumes,
    'rebuild-server': rebuildServer,
    'attach-volume': attachVolume,
    'detach-volume': detachVolume,
    'extend-volume': extendVolume,
    'move-server': moveServer,
    'confirm-resize': confirmResize,
    'revert-resize': revertResize,
    'live-migrate': liveMigrate,
    'evacuate-server': evacuateServer,
    'shelve-server': shelveServer,
    'offload-server': offloadServer,
    'unshelve-server': unshelveServer,
    'tidy-host': tidyHost,
    'swap-volume': swapVolume,
    'settle-request': settleRequest,
  };
  const running = new Map<number, Promise<void>>();
  const end = new AbortController();
  let looking: Promise<void> | undefined;
  let again = false;

  const work = async (job: Job, server: Server | undefined) => {
    try {
      // A server that is gone needs nothing more; its job ends as if done.
      if ((!server || server.deleted) && job.kind !== 'settle-request')
        await openRun(parts, job, server ?? ({} as Server)).commit(async (tx) => {
          await closeAction(tx, job, { at: clock.now(), error: null });
          return { to: 'done' };
        });
      else await runJob(specs[job.kind] as JobSpec<JobKind>, openRun(parts, job, server ?? ({} as Server))); // the table holds one spec for each kind
    } catch (cause) {
      if (cause === died) throw cause;
      if (cause instanceof CloudError && cause.code === 'job.lease_lost')
        return log.debug({ job: job.uuid }, 'another one has this job now');
      log.error({ err: cause, job: job.uuid, kind: job.kind }, 'a job could not go on and is handed back');
      // Should this fail too, the lease runs out by itself; whoever takes the job then goes on from what is written down.
      const lease = { id: job.id, uuid: job.uuid, owner: options.name, attempt: job.attempt };
      const now = clock.now();
      await db
        .transaction((tx) => handBackJob(tx, lease, now, now + 500_000))
        .catch((again) => log.warn({ err: again, job: job.uuid }, 'a job waits for the end of its lease'));
    }
  };
  let looked = 0;
  const take = async (all: boolean) => {
    // Under load the looks keep apart a little, so that each finds several jobs; a ring after a rest is answered at once.
    const since = (clock.now() - looked) / 1000;
    if (since < GATHER_MS) await clock.sleep(GATHER_MS - since, end.signal);
    while (!end.signal.aborted) {
      looked = clock.now();
      const room = options.concurrency - running.size;
      if (room <= 0) return;
      const now = clock.now();
      const lease = { owner: options.name, now, until: now + options.leaseMs * 1000 };
      const taken = await db.transaction(async (tx) => {
        const jobs = await takeJobs(tx, { ...lease, limit: room, busy: [...running.keys()], all });
        if (jobs.length === 0) return [];
        const rows = await tx
          .selectFrom('servers')
          .selectAll()
          .where(
            'uuid',
            'in',
            jobs.map((job) => job.serverUuid),
          )
          .execute();
        const servers = new Map(rows.map((row) => [row.uuid, row]));
        return jobs.map((job) => ({ job, row: servers.get(job.serverUuid) }));
      });
      for (const { job, row } of taken) {
        const done = work(job, row && toServer(row))
          .catch(() => undefined)
          .finally(() => {
            if (running.get(job.id) === done) running.delete(job.id); // another job may have its id by now
            if (again || running.size === options.concurrency - 1) look(false);
          });
        running.set(job.id, done);
      }
      if (taken.length < room) return;
    }
  };
  /** One look at a time; a ring during a look is followed by another. */
  const look = (all: boolean) => {
    if (looking) {
      again = true;
      return;
    }
    again = false;
    looking = take(all)
      .catch((cause) => log.warn({ err: cause }, 'the job table could not be looked at'))
      .finally(() => {
        looking = undefined;
        if (again && !end.signal.aborted) look(false);
      });
  };

  const failed = (what: string) => (cause: unknown) => log.warn({ err: cause }, what);
  const soon = tellSoon(clock, failed('what a host says could not be told'));
  /** Hosts never wait for listeners outside. */
  const tellOn = (news: (announcer: Announcer) => Promise<void>) => {
    if (announcer) soon.say(() => news(announcer));
  };
  const serving = await bus.serve(conductorContract, {
    async registerHost(ask) {
      const answer = await registerHost(parts, ask);
      const at = clock.now();
      tellOn((announcer) => tellMetrics(announcer, { ...ask, at }));
      return answer;
    },
    listOwned: (ask) => listOwned(parts, ask),
    async reportHost(tell) {
      if (await reportHost(parts, tell)) tellOn((announcer) => tellMetrics(announcer, tell));
    },
    async reportVolumeUsage(tell) {
      await keepVolumeUse(parts, tell);
      tellOn((announcer) => tellVolumeUse(parts, announcer, tell));
    },
    async cacheImages(tell) {
      // Downloads take their time: the message is acknowledged at once.
      void cacheAggregateImages(parts, announcer, tell, end.signal).catch(failed('images could not be cached'));
    },
    reportService: (tell) => reportService(parts, tell),
    async reportProgress(tell) {
      await db.transaction(async (tx) => {
        await mustOwnHost(tx, tell);
        const row = await tx.selectFrom('servers').select(['project_id', 'task_state']).where('uuid', '=', tell.uuid).executeTakeFirst();
        if (!row || row.task_state === null || !goesOn(row.task_state, tell.taskState)) return; // late words must not turn the state back
        const server = { uuid: tell.uuid, projectId: row.project_id };
        // The task may end between the look and the word: then there is nothing to tell any more.
        const more = { what: 'progress', at: clock.now(), epoch: tell.serverEpoch, inTask: row.task_state };
        await setServer(tx, server, { task_state: tell.taskState }, more);
      });
      sequencer.wake();
    },
    async reportBytes(tell) {
      await db.transaction(async (tx) => {
        await mustOwnHost(tx, tell);
        const [move] = await openMigrations(tx, tell.uuid, 'live-migration');
        const { memoryTotal, memoryProcessed, memoryRemaining, diskTotal, diskProcessed } = tell.bytes;
        let way = { done: diskProcessed, total: diskTotal };
        if (move?.sourceHost === tell.host) {
          await setMigration(tx, move.uuid, { progress: JSON.stringify(tell.bytes) }, clock.now());
          if (memoryProcessed > 0) way = { done: memoryTotal - memoryRemaining, total: memoryTotal };
        } else await noteProgress(tx, tell.uuid, tell.host, tell.bytes);
        await showProgress(tx, tell.uuid, way, clock.now());
      });
      sequencer.wake();
    },
    noteEvent: (tell) => noteEvent(parts, tell),
    recordReports: async (ask) => ({ verdicts: await recordReports(parts, ask, ask.reports) }),
  });
  const listening = await bus.onRing(JOBS_RING, () => look(false));
  const loops = [
    every(clock, options.pollMs, end.signal, async () => look(true), failed('poll')),
    every(
      clock,
      options.leaseMs / 3,
      end.signal,
      async () => {
        if (running.size > 0)
          await db.transaction((tx) => renewLeases(tx, options.name, [...running.keys()], clock.now() + options.leaseMs * 1000));
      },
      failed('leases could not be renewed'),
    ),
    every(clock, 30_000, end.signal, () => reap(parts), failed('the reaper failed')),
    every(clock, options.auditMs, end.signal, () => auditUsage(parts, announcer, end.signal), failed('servers could not be counted')),
    every(clock, options.movesMs, end.signal, () => lookAtMoves(parts), failed('moves could not be looked at')),
    every(clock, 10_000, end.signal, () => reportService(parts, { host: options.host, binary: 'nova-conductor' }), failed('liveness')),
  ];

  /** A job that waits for somebody who is gone must not hold our end up: its lease is given back, and whoever takes it goes on with it. */
  const withinGrace = async (work: Promise<unknown>) => {
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(STOP_GRACE_MS, resolve);
    });
    await Promise.race([work, late]);
    cancel();
  };

  return {
    busy: () => running.size,
    async stop() {
      end.abort();
      await listening();
      await serving();
      await Promise.all(loops);
      await looking;
      await withinGrace(Promise.all(running.values()));
      await db.transaction((tx) => handBackJobs(tx, options.name, clock.now())).catch(failed('jobs could not be handed back'));
      await soon.stop();
      await notifier?.stop();
      await sequencer.stop();
    },
  };
}
