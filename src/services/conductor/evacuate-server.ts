import { setMigration } from '../../db/tables/compute/migrations.ts';
import { leaveOldPlace, switchHost } from '../../db/tables/compute/moving.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import { powerStates } from '../../model/server.ts';
import { claimedCells } from './claimed-cells.ts';
import { askDeed } from './deed-step.ts';
import {
  arriving,
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
import { closeAction } from './outcome.ts';
import { failAction } from './outcome-task.ts';
import { elsewhere, reserveThere } from './reserve-there.ts';
import type { JobSpec, Run, Step } from './run-job.ts';

type EvacuateRun = Run<'evacuate-server'>;

/** A server whose host is down is made anew on another one, from its image. The old guest is fenced off by the owner epoch: its host puts it away when it
 *  returns.  Spec: compute api-ref "Evacuate Server". */
export const evacuateServer: JobSpec<'evacuate-server'> = {
  get steps() {
    return [reserve, ports, volumes, make, keepVolumes()];
  },
  finish: (run) =>
    run.commit(async (tx) => {
      const { job, parts, server } = run;
      const at = parts.clock.now();
      const { dest, epoch, ports: bound } = placeOf(run);
      const runs = startsThere(run);
      const set = {
        launched_on: dest.host,
        vm_state: runs ? 'active' : 'stopped',
        task_state: null,
        task_deadline: null,
        power_state: runs ? powerStates.running : powerStates.shutdown,
        launched_at: at,
        network_info: JSON.stringify(bound),
        fault: null,
      };
      await writeVolumes(tx, run, at);
      await switchHost(tx, server, { ...dest, epoch: epoch + 1 }, set, at);
      const migration = await migrationOf(tx, job.input.migrationUuid);
      await leaveOldPlace(tx, server, migration, at);
      await setMigration(tx, migration.uuid, { status: 'done' }, at);
      await closeAction(tx, job, { at, error: null });
      return { to: 'done' };
    }),
  async fail(run, cause) {
    await run.commit(async (tx) => {
      const at = run.parts.clock.now();
      await setMigration(tx, run.job.input.migrationUuid, { status: 'error' }, at);
      // It ends as an error with the action: no place was found.
      if (!notesOf(run).dest) await noteEvents(tx, run.job, null, at, { rebuild_server: 'open' });
      return {};
    });
    await failAction(run, cause, stateUnlessOvertaken(cause, 'error'));
  },
};

const startsThere = ({ job }: EvacuateRun) => !job.input.stopped && job.input.vmStateBefore !== 'stopped';

const reserve = reserveThere<'evacuate-server'>({
  async wish(run) {
    await mustStillFit(run, run.job.input.migrationUuid, 'evacuate');
    return elsewhere(run);
  },
  status: 'pre-migrating',
  async also(tx, { job, server }, _host, at) {
    await setServer(tx, server, { task_state: 'rebuild_block_device_mapping' }, { what: 'task', at });
    await noteEvents(tx, job, null, at, { rebuild_server: 'done' });
  },
});

const ports = portsStep<'evacuate-server'>((run) => notesOf(run).dest?.host ?? null);

const volumes = takeVolumes<'evacuate-server'>((run) => ({ from: run.server.host, to: notesOf(run).dest?.host ?? null }));

const make: Step<'evacuate-server'> = {
  name: 'make',
  async do(run) {
    const { job, server } = run;
    const { dest, epoch, ports: bound } = placeOf(run);
    const said = await askDeed(run, {
      step: 'make',
      deed: 'arrive',
      args: {
        ...arriving(server, server.flavor, bound, await claimedCells(run), await disksThere(run), job.input.adminPass),
        disks: 'fresh',
        offer: null,
        imageId: null,
        start: startsThere(run),
      },
      host: dest.host,
      epoch: epoch + 1,
      event: 'compute_rebuild_instance',
      set: { task_state: 'rebuild_spawning' },
    });
    return said === 'waiting' ? said : 'finished';
  },
  undo: (run) => dropArrived(run, 'make'),
};
