import { schedulerContract } from '../../bus/contracts/scheduler.ts';
import { findAction, insertEvents } from '../../db/tables/compute/actions.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import { CloudError, rebuildError } from '../../model/errors.ts';
import { noValidHost } from '../../model/errors-conductor.ts';
import { powerStates } from '../../model/server.ts';
import { claimedCells } from './claimed-cells.ts';
import { asked } from './decisions.ts';
import { askDeed, askedKey, type SaidNote, saidKey } from './deed-step.ts';
import { buildCommand } from './guests.ts';
import { portsOf } from './move-steps.ts';
import { closeAction } from './outcome.ts';
import { failAction } from './outcome-task.ts';
import { explainRefusal } from './refusal.ts';
import { isReimaged, off, reimage } from './reimage-volume.ts';
import type { JobSpec, Run, Step } from './run-job.ts';
import { guestDisksOf } from './server-volumes.ts';

type RebuildRun = Run<'rebuild-server'>;
const REBUILD = 'rebuild';

/** A server made anew where it stands: its id, addresses and claim stay, its disks are fresh. One that was stopped is stopped again afterwards.
 *  Spec: compute api-ref "Rebuild Server". */
export const rebuildServer: JobSpec<'rebuild-server'> = {
  get steps() {
    return [check, off, reimage, rebuild, stop];
  },
  finish: (run) =>
    run.commit(async (tx) => {
      const at = run.parts.clock.now();
      const stopped = run.job.input.vmStateBefore === 'stopped';
      const said = run.progress.notes[saidKey(REBUILD)] as SaidNote | undefined; // only server-reports.ts writes it
      const set = {
        vm_state: stopped ? 'stopped' : 'active',
        task_state: null,
        task_deadline: null,
        power_state: stopped ? powerStates.shutdown : powerStates.running,
        launched_at: at,
        fault: null,
        ...(said?.networkInfo ? { network_info: JSON.stringify(said.networkInfo) } : {}),
      };
      await setServer(tx, run.server, set, { what: 'rebuilt', at });
      await closeAction(tx, run.job, { at, error: null });
      return { to: 'done' };
    }),
  async fail(run, cause) {
    const { vmStateBefore, imageBefore } = run.job.input;
    if (run.progress.notes[askedKey(REBUILD)] !== undefined || isReimaged(run)) return failAction(run, cause, { vm_state: 'error' }); // what stands there now nobody knows
    const image = imageBefore && { image_id: imageBefore.id, image: imageBefore.image && JSON.stringify(imageBefore.image) };
    // No host for the new image is an error as in Nova; anything else left the server as it was.
    await failAction(run, cause, { vm_state: cause.code === 'build.no_valid_host' ? 'error' : vmStateBefore, ...image });
  },
};

/** Whether the host may run the new image. */
const check: Step<'rebuild-server'> = {
  name: 'check',
  atomic: true,
  async do(run) {
    const { parts, job, server } = run;
    const startedAt = parts.clock.now();
    if (job.input.imageBefore !== null) {
      try {
        const { answers } = await parts.bus.ask(
          schedulerContract,
          'selectHosts',
          { requests: [hostRequest(run)], fresh: true },
          { timeoutMs: parts.options.askMs },
        );
        const answer = answers[0];
        if (answer?.failed) throw rebuildError(answer.failed);
        if (!answer || answer.hosts.length === 0) throw noValidHost({ why: answer ? explainRefusal(answer.reasons, null) : '' });
      } catch (cause) {
        if (!(cause instanceof CloudError) || cause.kind !== 'unavailable') throw cause;
        parts.log.warn({ err: cause, server: server.uuid }, 'the scheduler does not answer; asked again soon');
        await run.commit(async () => ({ to: 'queued', inMs: Math.min(1000, parts.options.resendMs) }));
        return 'waiting';
      }
    }
    run.point('check', 'middle');
    await run.commit(async (tx) => {
      const at = parts.clock.now();
      const action = await findAction(tx, server.uuid, job.context.requestId);
      const event = { event: 'rebuild_server', host: null, startedAt, finishedAt: at, result: 'Success', details: null } as const;
      if (action !== undefined) await insertEvents(tx, action, [event]);
      return { marks: { check: 'finished' } };
    });
    return 'finished';
  },
};

const rebuild: Step<'rebuild-server'> = {
  name: REBUILD,
  async do(run) {
    const disks = await guestDisksOf(run.parts.db.read, run.server);
    const { guest, networks, configDrive, instance } = buildCommand(run.job, run.server, await claimedCells(run), disks);
    // Ports may have come and gone since it was built.
    const ports = run.server.launchedAt === null ? null : portsOf(run.server.networkInfo);
    const said = await askDeed(run, {
      step: REBUILD,
      deed: 'rebuild',
      args: { guest, networks, ports, configDrive, instance, preserveEphemeral: run.job.input.preserveEphemeral },
      event: 'compute_rebuild_instance',
    });
    return said === 'waiting' ? said : 'finished';
  },
};

const stop: Step<'rebuild-server'> = {
  name: 'stop',
  async do(run) {
    if (run.job.input.vmStateBefore !== 'stopped') return 'finished';
    const said = await askDeed(run, {
      step: 'stop',
      deed: 'powerOff',
      args: { graceMs: 0 }, // it has just begun to boot: nothing in it is worth waiting for
      set: { task_state: 'powering-off' },
    });
    return said === 'waiting' ? said : 'finished';
  },
};

/** Its place and claim are the server's already: only whether the filters take the image there is asked. */
const hostRequest = ({ server }: RebuildRun) => ({
  serverUuid: server.uuid,
  projectId: server.projectId,
  amounts: { VCPU: 0, MEMORY_MB: 0, DISK_GB: 0 },
  ...asked(server),
  extraSpecs: server.flavor.extraSpecs,
  imageProperties: server.image?.properties ?? {},
  availabilityZone: null,
  forcedHost: null,
  forcedNode: null,
  requestedHost: server.host,
  requestedHypervisor: server.node,
  excludedHosts: [],
  group: null,
  schedulerHints: server.schedulerHints,
  rebuild: true,
  limit: 1,
});
