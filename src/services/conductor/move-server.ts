import { FINISHED, setMigration } from '../../db/tables/compute/migrations.ts';
import { giveBackExcess, reservePlace, switchHost, unreservePlace } from '../../db/tables/compute/moving.ts';
import { faultText, setServer } from '../../db/tables/compute/placing.ts';
import { amountsOf } from '../../model/resources.ts';
import { powerStates } from '../../model/server.ts';
import { claimedCells } from './claimed-cells.ts';
import { askDeed, askedKey, type SaidNote, saidKey } from './deed-step.ts';
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
import { closeAction, faultOf } from './outcome.ts';
import { partsAskOf } from './parts-ask.ts';
import type { JobSpec, Run, Step } from './run-job.ts';
import { guestDisksOf } from './server-volumes.ts';

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
      const { dest, epoch, ports: bound } = notesOf(run);
      if (!dest || epoch === undefined) throw new Error('a move without a place');
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
        network_info: JSON.stringify(bound ?? server.networkInfo),
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

const reserve: Step<'move-server'> = {
  name: 'reserve',
  atomic: true,
  async do(run) {
    const { job, parts, server } = run;
    const { input } = job;
    await mustStillFit(run, input.migrationUuid, 'resize');
    const group = await groupOfMover(parts.db.read, server);
    const flavor = flavorOf(run);
    const excludedHosts = input.sameHost || server.host === null ? [] : [server.host];
    const wish = { flavor, group, excludedHosts, requestedHost: input.host, forcedHost: null };
    return findPlace(run, 'reserve', wish, async (tx, place, at) => {
      if (
        !(await reservePlace(
          tx,
          parts.db.kind,
          server,
          input.migrationUuid,
          amountsOf(ownDisks({ flavor, imageId: server.imageId })),
          group,
          place,
          at,
          parts.options.enforced,
          { newFlavor: flavor },
          partsAskOf(parts.options, flavor, server.image),
        ))
      )
        return null;
      const set = { dest_host: place.host, dest_node: place.node, dest_ip: await hostIpOf(tx, place.host), status: 'pre-migrating' };
      await setMigration(tx, input.migrationUuid, set, at);
      await noteEvents(tx, job, null, at, { conductor_migrate_server: 'open', cold_migrate: 'open' });
      await noteEvents(tx, job, place.host, at, { compute_prep_resize: 'done' });
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
  async undo(run) {
    const { job, parts, server } = run;
    const { epoch } = notesOf(run);
    if (run.progress.notes[askedKey('leave')] === undefined || epoch === undefined || server.host === null) return undefined;
    const [host, node] = [server.host, server.node ?? ''];
    const cells = await claimedCells(run, { holder: job.input.migrationUuid });
    const back = await askIfPossible(run, {
      step: 'come-back',
      deed: 'arrive',
      args: {
        ...arriving(server, server.flavor, server.networkInfo, cells, await guestDisksOf(parts.db.read, server)),
        disks: 'here',
        offer: null,
        imageId: null,
        start: startsThere(run),
      },
      host,
      epoch: epoch + 2,
    });
    if (back === 'waiting') return back;
    await run.commit(async (tx) => {
      if (back) await switchHost(tx, server, { host, node, epoch: epoch + 2 }, {}, parts.clock.now());
      return { marks: { leave: 'undone' }, notes: { lost: back === null } };
    });
    if (back) run.server = { ...server, epoch: epoch + 2 };
    return undefined;
  },
};

const ports: Step<'move-server'> = {
  name: 'ports',
  do: (run) =>
    bindPorts(run, notesOf(run).dest?.host ?? null, 'ports', (tx, at) =>
      setServer(tx, run.server, { task_state: 'resize_migrated' }, { what: 'task', at }),
    ),
  async undo(run) {
    await bindBack(run, run.server.host);
    return undefined;
  },
};

const volumes = takeVolumes<'move-server'>((run) => ({ from: run.server.host, to: notesOf(run).dest?.host ?? null }));

const arrive: Step<'move-server'> = {
  name: 'arrive',
  async do(run) {
    const { job, server } = run;
    const { dest, epoch, ports: bound = server.networkInfo } = notesOf(run);
    if (!dest || epoch === undefined) throw new Error('a move without a place');
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
  async undo(run) {
    const { dest, epoch } = notesOf(run);
    if (!dest || epoch === undefined || dest.host === run.server.host || run.progress.notes[askedKey('arrive')] === undefined)
      return undefined;
    const dropped = await askIfPossible(run, { step: 'drop', deed: 'dropGuest', args: {}, host: dest.host, epoch: epoch + 1 });
    return dropped === 'waiting' ? dropped : undefined;
  },
};
