import { setMigration } from '../../db/tables/compute/migrations.ts';
import { leaveOldPlace, reservePlace, switchHost, unreservePlace } from '../../db/tables/compute/moving.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import { amountsOf } from '../../model/resources.ts';
import { powerStates } from '../../model/server.ts';
import { claimedCells } from './claimed-cells.ts';
import { askDeed, askedKey } from './deed-step.ts';
import { findPlace, groupOfMover } from './find-place.ts';
import { ownDisks } from './guests.ts';
import {
  arriving,
  askIfPossible,
  bindBack,
  bindPorts,
  hostIpOf,
  migrationOf,
  mustStillFit,
  noteEvents,
  notesOf,
  stateUnlessOvertaken,
} from './move-steps.ts';
import { disksThere, keepVolumes, takeVolumes, writeVolumes } from './move-volumes.ts';
import { closeAction } from './outcome.ts';
import { failAction } from './outcome-task.ts';
import { partsAskOf } from './parts-ask.ts';
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
      const { dest, epoch, ports: bound } = notesOf(run);
      if (!dest || epoch === undefined) throw new Error('an evacuation without a place');
      const runs = startsThere(run);
      const set = {
        launched_on: dest.host,
        vm_state: runs ? 'active' : 'stopped',
        task_state: null,
        task_deadline: null,
        power_state: runs ? powerStates.running : powerStates.shutdown,
        launched_at: at,
        network_info: JSON.stringify(bound ?? server.networkInfo),
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

const reserve: Step<'evacuate-server'> = {
  name: 'reserve',
  atomic: true,
  async do(run) {
    const { job, parts, server } = run;
    const { input } = job;
    await mustStillFit(run, input.migrationUuid, 'evacuate');
    const group = await groupOfMover(parts.db.read, server);
    const wish = {
      flavor: server.flavor,
      group,
      excludedHosts: server.host === null ? [] : [server.host],
      requestedHost: input.force ? null : input.host,
      forcedHost: input.force ? input.host : null,
    };
    return findPlace(run, 'reserve', wish, async (tx, place, at) => {
      if (
        !(await reservePlace(
          tx,
          parts.db.kind,
          server,
          input.migrationUuid,
          amountsOf(ownDisks(server)),
          group,
          place,
          at,
          parts.options.enforced,
          {},
          partsAskOf(parts.options, server.flavor, server.image, wish.forcedHost !== null),
        ))
      )
        return null;
      const set = { dest_host: place.host, dest_node: place.node, dest_ip: await hostIpOf(tx, place.host), status: 'pre-migrating' };
      await setMigration(tx, input.migrationUuid, set, at);
      await setServer(tx, server, { task_state: 'rebuild_block_device_mapping' }, { what: 'task', at });
      await noteEvents(tx, job, null, at, { rebuild_server: 'done' });
      return { marks: { reserve: 'finished' }, notes: { dest: { host: place.host, node: place.node }, epoch: server.epoch } };
    });
  },
  async undo(run) {
    const { job, parts, server } = run;
    await run.commit(async (tx) => {
      await unreservePlace(tx, server, await migrationOf(tx, job.input.migrationUuid), parts.clock.now());
      return { marks: { reserve: 'undone' } };
    });
    return undefined;
  },
};

const ports: Step<'evacuate-server'> = {
  name: 'ports',
  do: (run) => bindPorts(run, notesOf(run).dest?.host ?? null, 'ports'),
  async undo(run) {
    await bindBack(run, run.server.host);
    return undefined;
  },
};

const volumes = takeVolumes<'evacuate-server'>((run) => ({ from: run.server.host, to: notesOf(run).dest?.host ?? null }));

const make: Step<'evacuate-server'> = {
  name: 'make',
  async do(run) {
    const { job, server } = run;
    const { dest, epoch, ports: bound = server.networkInfo } = notesOf(run);
    if (!dest || epoch === undefined) throw new Error('an evacuation without a place');
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
  async undo(run) {
    const { dest, epoch } = notesOf(run);
    if (!dest || epoch === undefined || run.progress.notes[askedKey('make')] === undefined) return undefined;
    const dropped = await askIfPossible(run, { step: 'drop', deed: 'dropGuest', args: {}, host: dest.host, epoch: epoch + 1 });
    return dropped === 'waiting' ? dropped : undefined;
  },
};
