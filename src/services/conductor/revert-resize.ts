import { FINISHED, setMigration } from '../../db/tables/compute/migrations.ts';
import { giveBackExcess, switchHost, unreservePlace } from '../../db/tables/compute/moving.ts';
import { powerStates } from '../../model/server.ts';
import { claimedCells } from './claimed-cells.ts';
import { askDeed, askedKey } from './deed-step.ts';
import { arriving, askIfPossible, comeBack, migrationOf, notesOf, orderTidying, portsStep } from './move-steps.ts';
import { disksThere, keepVolumes, takeVolumes, writeVolumes } from './move-volumes.ts';
import { closeAction } from './outcome.ts';
import { failAction } from './outcome-task.ts';
import type { JobSpec, Run, Step } from './run-job.ts';

type RevertRun = Run<'revert-resize'>;

/** Back to the host and flavor from before the resize, whose disks still stand there. When that fails the server waits for its confirm as before. */
export const revertResize: JobSpec<'revert-resize'> = {
  get steps() {
    return [leave, ports, volumes, back, keepVolumes()];
  },
  finish: (run) =>
    run.commit(async (tx) => {
      const { job, parts, server } = run;
      const at = parts.clock.now();
      const { epoch, ports: bound } = notesOf(run);
      const migration = await migrationOf(tx, job.input.migrationUuid);
      const { sourceHost: host, sourceNode: node, oldFlavor: flavor } = migration;
      if (host === null || !flavor || epoch === undefined) throw new Error('a resize that came from nowhere');
      await unreservePlace(tx, server, migration, at);
      const runs = migration.oldVmState === 'active';
      const set = {
        launched_on: host,
        flavor_id: flavor.flavorId,
        flavor: JSON.stringify(flavor),
        vm_state: runs ? 'active' : 'stopped',
        task_state: null,
        task_deadline: null,
        power_state: runs ? powerStates.running : powerStates.shutdown,
        launched_at: at,
        network_info: JSON.stringify(bound ?? server.networkInfo),
        fault: null,
      };
      await writeVolumes(tx, run, at);
      await switchHost(tx, server, { host, node: node ?? '', epoch: epoch + 1 }, set, at);
      await giveBackExcess(tx, server.projectId, migration, flavor);
      await setMigration(tx, migration.uuid, { status: 'reverted' }, at);
      if (server.host !== null && server.host !== host) await orderTidying(tx, job, server.host, epoch, at);
      await closeAction(tx, job, { at, error: null });
      return { to: 'done' };
    }),
  async fail(run, cause) {
    await run.commit(async (tx) => {
      await setMigration(tx, run.job.input.migrationUuid, { status: FINISHED }, run.parts.clock.now());
      return {};
    });
    await failAction(run, cause, { vm_state: notesOf(run).lost ? 'error' : 'resized' });
  },
};

const leave: Step<'revert-resize'> = {
  name: 'leave',
  async do(run) {
    const { parts, server } = run;
    if (notesOf(run).epoch === undefined) await run.commit(async () => ({ notes: { epoch: server.epoch } }));
    const args = { graceMs: parts.options.shutdownGraceMs };
    const said = await askDeed(run, { step: 'leave', deed: 'leaveHost', args, event: 'compute_revert_resize' });
    return said === 'waiting' ? said : 'finished';
  },
  undo: async (run) => comeBack(run, run.server.powerState === powerStates.running, await claimedCells(run)),
};

const sourceOf = async (run: RevertRun) => (await migrationOf(run.parts.db.read, run.job.input.migrationUuid)).sourceHost;

const ports = portsStep<'revert-resize'>(sourceOf);

const volumes = takeVolumes<'revert-resize'>(async (run) => ({ from: run.server.host, to: await sourceOf(run) }));

const back: Step<'revert-resize'> = {
  name: 'back',
  async do(run: RevertRun) {
    const { job, parts, server } = run;
    const { epoch, ports: bound = server.networkInfo } = notesOf(run);
    const { sourceHost, oldFlavor, oldVmState } = await migrationOf(parts.db.read, job.input.migrationUuid);
    if (sourceHost === null || !oldFlavor || epoch === undefined) throw new Error('a resize that came from nowhere');
    const cells = await claimedCells(run, { flavor: oldFlavor, holder: job.input.migrationUuid });
    const said = await askDeed(run, {
      step: 'back',
      deed: 'arrive',
      args: {
        ...arriving(server, oldFlavor, bound, cells, await disksThere(run)),
        disks: 'here',
        offer: null,
        imageId: null,
        start: oldVmState === 'active',
      },
      host: sourceHost,
      epoch: epoch + 1,
      event: 'compute_finish_revert_resize',
    });
    return said === 'waiting' ? said : 'finished';
  },
  /** Turned off again, and kept for the next try. */
  async undo(run) {
    const { epoch } = notesOf(run);
    const sourceHost = await sourceOf(run);
    if (run.progress.notes[askedKey('back')] === undefined || sourceHost === null || epoch === undefined || sourceHost === run.server.host)
      return undefined;
    const off = await askIfPossible(run, { step: 'off', deed: 'leaveHost', args: { graceMs: 0 }, host: sourceHost, epoch: epoch + 1 });
    return off === 'waiting' ? off : undefined;
  },
};
