import { placeServer, setServer, unplaceServer } from '../../db/tables/compute/placing.ts';
import { findShelf, takeOffShelf } from '../../db/tables/compute/shelves.ts';
import { CloudError } from '../../model/errors.ts';
import { amountsOf } from '../../model/resources.ts';
import { powerStates } from '../../model/server.ts';
import { claimedCells } from './claimed-cells.ts';
import { askDeed, askedKey } from './deed-step.ts';
import { findPlace, groupOfMover } from './find-place.ts';
import { ownDisks } from './guests.ts';
import { arriving, askIfPossible, bindBack, bindPorts, noteEvents, notesOf } from './move-steps.ts';
import { disksThere, keepVolumes, takeVolumes, writeVolumes } from './move-volumes.ts';
import { closeAction } from './outcome.ts';
import { failAction } from './outcome-task.ts';
import { partsAskOf } from './parts-ask.ts';
import type { JobSpec, Run, Step } from './run-job.ts';

type UnshelveRun = Run<'unshelve-server'>;
const offloaded = (run: UnshelveRun) => run.job.input.vmStateBefore === 'shelved_offloaded';

/** A shelved server runs again: where it is still, or made of its image on a host that is looked for.  Spec: compute api-ref "Unshelve (Restore) Shelved Server". */
export const unshelveServer: JobSpec<'unshelve-server'> = {
  get steps() {
    return [start, place, ports, volumes, make, keepVolumes(), forget];
  },
  finish: (run) =>
    run.commit(async (tx) => {
      const { job, parts, server } = run;
      const at = parts.clock.now();
      const { ports: bound } = notesOf(run);
      await writeVolumes(tx, run, at);
      await takeOffShelf(tx, server.uuid);
      const set = {
        vm_state: 'active',
        task_state: null,
        task_deadline: null,
        power_state: powerStates.running,
        launched_at: at,
        network_info: JSON.stringify(bound ?? server.networkInfo),
        fault: null,
      };
      await setServer(tx, server, set, { what: 'unshelved', at });
      await closeAction(tx, job, { at, error: null });
      return { to: 'done' };
    }),
  async fail(run, cause) {
    const { vmStateBefore, zoneBefore } = run.job.input;
    await run.commit(async (tx) => {
      await tx.updateTable('servers').set({ availability_zone: zoneBefore }).where('uuid', '=', run.server.uuid).execute();
      return {};
    });
    await failAction(run, cause, { vm_state: vmStateBefore });
  },
};

const start: Step<'unshelve-server'> = {
  name: 'start',
  async do(run) {
    if (offloaded(run)) return 'finished';
    const said = await askDeed(run, {
      step: 'start',
      deed: 'powerOn',
      args: {},
      event: 'compute_start_instance',
      set: { task_state: 'powering-on' },
    });
    return said === 'waiting' ? said : 'finished';
  },
};

const place: Step<'unshelve-server'> = {
  name: 'place',
  atomic: true,
  async do(run) {
    const { job, parts, server } = run;
    if (!offloaded(run)) return 'finished';
    const group = await groupOfMover(parts.db.read, server);
    const wish = { flavor: server.flavor, group, excludedHosts: [], requestedHost: job.input.host, forcedHost: null };
    const machineParts = partsAskOf(parts.options, server.flavor, server.image);
    let placed: Pick<typeof server, 'host' | 'node' | 'epoch'> | undefined;
    const found = await findPlace(run, 'place', wish, async (tx, at, now) => {
      const task = {
        taskState: 'unshelving',
        deadline: job.deadline + 60_000_000,
        at: now,
        enforced: parts.options.enforced,
        parts: machineParts,
      };
      const epoch = await placeServer(tx, parts.db.kind, server, amountsOf(ownDisks(server)), group, at, task);
      if (epoch === null) return null;
      placed = { host: at.host, node: at.node, epoch };
      await noteEvents(tx, job, null, now, { get_image_info: 'done', schedule_instances: 'done' });
      return { marks: { place: 'finished' } };
    });
    if (placed) run.server = { ...server, ...placed };
    return found;
  },
  async undo(run) {
    const { parts, server } = run;
    const { host } = server;
    if (!offloaded(run)) return undefined;
    await run.commit(async (tx) => {
      const state = { vmState: 'shelved_offloaded', taskState: server.taskState, deadline: null, at: parts.clock.now() };
      if (host !== null) await unplaceServer(tx, server, host, state);
      return { marks: { place: 'undone' } };
    });
    run.server = { ...server, host: null, node: null };
    return undefined;
  },
};

const ports: Step<'unshelve-server'> = {
  name: 'ports',
  async do(run) {
    return offloaded(run) ? bindPorts(run, run.server.host, 'ports') : 'finished';
  },
  async undo(run) {
    if (offloaded(run)) await bindBack(run, null);
    return undefined;
  },
};

const volumes = takeVolumes<'unshelve-server'>((run) => ({ from: null, to: offloaded(run) ? run.server.host : null }));

const make: Step<'unshelve-server'> = {
  name: 'make',
  async do(run) {
    const { parts, server } = run;
    if (!offloaded(run)) return 'finished';
    const { ports: bound = server.networkInfo } = notesOf(run);
    const shelf = await findShelf(parts.db.read, server.uuid);
    const said = await askDeed(run, {
      step: 'make',
      deed: 'arrive',
      args: {
        ...arriving(server, server.flavor, bound, await claimedCells(run), await disksThere(run)),
        disks: 'fresh',
        offer: null,
        imageId: shelf?.imageId ?? null,
        start: true,
      },
      event: 'compute_unshelve_instance',
      set: { task_state: 'spawning' },
    });
    return said === 'waiting' ? said : 'finished';
  },
  async undo(run) {
    if (run.progress.notes[askedKey('make')] === undefined) return undefined;
    const dropped = await askIfPossible(run, { step: 'drop', deed: 'dropGuest', args: {} });
    return dropped === 'waiting' ? dropped : undefined;
  },
};

/** Its image has served. That it may stay when the image service is away does no harm but room. */
const forget: Step<'unshelve-server'> = {
  name: 'forget',
  async do(run) {
    const { parts, server } = run;
    const shelf = await findShelf(parts.db.read, server.uuid);
    if (shelf?.imageId == null) return 'finished';
    await parts.images.remove(shelf.imageId).catch((cause) => {
      if (!(cause instanceof CloudError)) throw cause;
      parts.log.warn(
        { err: cause, server: server.uuid, image: shelf.imageId },
        'the image of a server that is unshelved could not be removed',
      );
    });
    return 'finished';
  },
};
