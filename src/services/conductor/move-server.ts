import { FINISHED, setMigration } from '../../db/tables/compute/migrations.ts';
import { giveBackExcess, switchHost } from '../../db/tables/compute/moving.ts';
import { faultText, setServer } from '../../db/tables/compute/placing.ts';
import { powerStates } from '../../model/server.ts';
import { claimedCells } from './claimed-cells.ts';
import { askDeed, type SaidNote, saidKey } from './deed-step.ts';
import {
  arriving,
  comeBack,
  dropArrived,
  migrationOf,
  mustStillFit,
  noteEvents,
  notesOf,
  placeOf,
  portsStep,
  stateUnlessOvertaken,
} from './move-steps.ts';
import { disksThere, keepVolumes, takeVolumes, writeVolumes } from './move-volumes.ts';
import { closeAction, faultOf } from './outcome.ts';
import { reserveThere } from './reserve-there.ts';
import type { JobSpec, Run, Step } from './run-job.ts';

type MoveRun = Run<'move-server'>;

/** A resize or cold migration, up to where the user confirms or reverts it: the guest is turned off, its disks go to the other host, and it is turned on there
 *  as the new flavor says. Both hosts stay claimed. When it fails the server is where and what it was.  Spec: compute api-ref "Resize Server". */
export const moveServer: JobSpec<'move-server'> = {
  get steps() {
    return [reserve, leave, ports, volumes, arrive, keepVolumes()];
  },
  finish: (run) =>
    run.commit(async (tx) => {
      const { job, parts, server } = run;
      const at = parts.clock.now();
      const flavor = flavorOf(run);
      const { dest, epoch, ports: bound } = placeOf(run);
      const runs = startsThere(run);
      const set = {
        launched_on: dest.host,
        flavor_id: flavor.flavorId,
        flavor: JSON.stringify(flavor),
        vm_state: 'resized',
        task_state: null,
        task_deadline: null,
        power_state: runs ? powerStates.running : powerStates.shutdown,
        launched_at: at,
        network_info: JSON.stringify(bound),
        progress: 100,
        fault: null,
      };
      await writeVolumes(tx, run, at);
      await switchHost(tx, server, { ...dest, epoch: epoch + 1 }, set, at);
      await setMigration(tx, job.input.migrationUuid, { status: FINISHED }, at);
      await closeAction(tx, job, { at, error: null });
      return { to: 'done' };
    }),
  async fail(run, cause) {
    const { job, parts, server } = run;
    const at = parts.clock.now();
    await run.commit(async (tx) => {
      const migration = await migrationOf(tx, job.input.migrationUuid);
      // What was taken for it when it was asked for, whatever the server is now.
      await giveBackExcess(tx, server.projectId, migration, migration.oldFlavor ?? server.flavor);
      await setMigration(tx, migration.uuid, { status: 'error' }, at);
      const state = stateUnlessOvertaken(cause, notesOf(run).lost ? 'error' : job.input.vmStateBefore);
      const set = { ...state, task_state: null, task_deadline: null, fault: faultText(faultOf(cause, at)) };
      await setServer(tx, server, set, { what: 'action-failed', at, body: { fault: cause.message } });
      await closeAction(tx, job, { at, error: cause.message });
      return { to: 'failed' };
    });
  },
};

const flavorOf = (run: MoveRun) => run.job.input.flavor ?? run.server.flavor;
const startsThere = (run: MoveRun) => run.job.input.vmStateBefore === 'active';

const reserve = reserveThere<'move-server'>({
  async wish(run) {
    const { job, server } = run;
    await mustStillFit(run, job.input.migrationUuid, 'resize');
    const excludedHosts = job.input.sameHost || server.host === null ? [] : [server.host];
    return { flavor: flavorOf(run), excludedHosts, requestedHost: job.input.host, forcedHost: null };
  },
  status: 'pre-migrating',
  details: (run) => ({ newFlavor: flavorOf(run) }),
  async also(tx, { job }, host, at) {
    await noteEvents(tx, job, null, at, { conductor_migrate_server: 'open', cold_migrate: 'open' });
    await noteEvents(tx, job, host, at, { compute_prep_resize: 'done' });
  },
});

const leave: Step<'move-server'> = {
  name: 'leave',
  async do(run) {
    const { job, parts } = run;
    const said = await askDeed(run, {
      step: 'leave',
      deed: 'leaveHost',
      args: { graceMs: parts.options.shutdownGraceMs },
      event: 'compute_resize_instance',
      set: { task_state: 'resize_migrating' },
      also: async (tx, at) => void (await setMigration(tx, job.input.migrationUuid, { status: 'migrating' }, at)),
    });
    return said === 'waiting' ? said : 'finished';
  },
  /** On again where it was, under an epoch of its own: what the other host may still have of it is older then. */
  undo: async (run) => comeBack(run, startsThere(run), await claimedCells(run, { holder: run.job.input.migrationUuid })),
};

const ports = portsStep<'move-server'>(
  (run) => notesOf(run).dest?.host ?? null,
  (tx, { server }, at) => setServer(tx, server, { task_state: 'resize_migrated' }, { what: 'task', at }),
);

const volumes = takeVolumes<'move-server'>((run) => ({ from: run.server.host, to: notesOf(run).dest?.host ?? null }));

const arrive: Step<'move-server'> = {
  name: 'arrive',
  async do(run) {
    const { job, server } = run;
    const { dest, epoch, ports: bound } = placeOf(run);
    const left = run.progress.notes[saidKey('leave')] as SaidNote | undefined; // written by server-reports.ts
    const same = dest.host === server.host;
    const said = await askDeed(run, {
      step: 'arrive',
      deed: 'arrive',
      args: {
        ...arriving(server, flavorOf(run), bound, await claimedCells(run, { flavor: flavorOf(run) }), await disksThere(run)),
        disks: same ? 'here' : 'offered',
        offer: same ? null : ((left?.result.offer as Record<string, unknown> | undefined) ?? {}), // the agent checked it
        imageId: null,
        start: startsThere(run),
      },
      host: dest.host,
      epoch: epoch + 1,
      event: 'compute_finish_resize',
      set: { task_state: 'resize_finish' },
      also: async (tx, at) => void (await setMigration(tx, job.input.migrationUuid, { status: 'post-migrating' }, at)),
    });
    return said === 'waiting' ? said : 'finished';
  },
  undo: (run) => dropArrived(run, 'arrive'),
};
