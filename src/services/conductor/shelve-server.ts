import { insertJobs } from '../../db/tables/compute/jobs.ts';
import { setServer, unplaceServer } from '../../db/tables/compute/placing.ts';
import { putOnShelf } from '../../db/tables/compute/shelves.ts';
import { jobDeadlineSeconds } from '../../model/jobs.ts';
import { powerStates } from '../../model/server.ts';
import { askDeed, askedKey } from './deed-step.ts';
import { askIfPossible, bindPorts } from './move-steps.ts';
import { keepVolumes, takeVolumes, writeVolumes } from './move-volumes.ts';
import { closeAction } from './outcome.ts';
import { failAction } from './outcome-task.ts';
import type { JobSpec, Step } from './run-job.ts';

/** A server is turned off and becomes an image; then it leaves its host, at once or later.  Spec: compute api-ref "Shelve Server". */
export const shelveServer: JobSpec<'shelve-server'> = {
  get steps() {
    return [stop, upload, stopLate];
  },
  finish: (run) =>
    run.commit(async (tx) => {
      const { job, parts, server } = run;
      const { imageId, offload } = job.input;
      const at = parts.clock.now();
      await putOnShelf(tx, parts.db.kind, { serverUuid: server.uuid, imageId, shelvedAt: at });
      const until = at + (jobDeadlineSeconds['offload-server'] + 60) * 1_000_000;
      const task = offload ? { task_state: 'shelving_offloading', task_deadline: until } : { task_state: null, task_deadline: null };
      const set = { vm_state: 'shelved', power_state: powerStates.shutdown, fault: null, ...task };
      await setServer(tx, server, set, { what: 'shelved', at });
      // The same action goes on with it.
      const input = { serverUuid: server.uuid };
      if (offload) await insertJobs(tx, [{ kind: 'offload-server', serverUuid: server.uuid, input, context: job.context, now: at }]);
      else await closeAction(tx, job, { at, error: null });
      return { to: 'done' };
    }),
  async fail(run, cause) {
    const { imageId, vmStateBefore } = run.job.input;
    const { images, log } = run.parts;
    if (imageId !== null)
      await images.remove(imageId).catch((undo) => log.warn({ err: undo, image: imageId }, 'an unused image could not be removed'));
    await failAction(run, cause, { vm_state: vmStateBefore });
  },
};

const stop: Step<'shelve-server'> = {
  name: 'stop',
  async do(run) {
    // A paused or suspended guest's disk does not change: it is copied first, so that nothing is lost when that fails.
    if (run.job.input.vmStateBefore !== 'active') return 'finished';
    const args = { graceMs: run.parts.options.shutdownGraceMs };
    const said = await askDeed(run, { step: 'stop', deed: 'powerOff', args, event: 'compute_shelve_instance' });
    return said === 'waiting' ? said : 'finished';
  },
  async undo(run) {
    const { imageId } = run.job.input;
    if (imageId !== null) await run.parts.images.remove(imageId); // registered by the API, before the first step
    if (run.progress.notes[askedKey('stop')] === undefined) return undefined;
    const back = await askIfPossible(run, { step: 'start-again', deed: 'powerOn', args: {} });
    return back === 'waiting' ? back : undefined;
  },
};

const upload: Step<'shelve-server'> = {
  name: 'upload',
  async do(run) {
    const { job, parts, server } = run;
    const { imageId, vmStateBefore } = job.input;
    if (imageId === null) return 'finished';
    if (run.progress.notes[askedKey('upload')] === undefined)
      await run.commit(async (tx) => {
        await setServer(tx, server, { task_state: 'shelving_image_pending_upload' }, { what: 'task', at: parts.clock.now() });
        return {};
      });
    const said = await askDeed(run, {
      step: 'upload',
      deed: 'snapshot',
      args: { imageId },
      set: { task_state: 'shelving_image_uploading' },
      ...(vmStateBefore === 'active' ? {} : { event: 'compute_shelve_instance' }),
    });
    return said === 'waiting' ? said : 'finished';
  },
};

const stopLate: Step<'shelve-server'> = {
  name: 'stop-late',
  async do(run) {
    if (run.job.input.vmStateBefore !== 'paused' && run.job.input.vmStateBefore !== 'suspended') return 'finished';
    const said = await askDeed(run, { step: 'stop-late', deed: 'powerOff', args: { graceMs: 0 } });
    return said === 'waiting' ? said : 'finished';
  },
};

/** A shelved server leaves its host: what is left of it is its image.  Spec: compute api-ref "Shelf-Offload (Remove) Server". */
export const offloadServer: JobSpec<'offload-server'> = {
  get steps() {
    return [drop, unbind, volumes, keepVolumes()];
  },
  finish: (run) =>
    run.commit(async (tx) => {
      const { job, parts, server } = run;
      const at = parts.clock.now();
      const vmState = 'shelved_offloaded';
      await writeVolumes(tx, run, at);
      if (server.host !== null) await unplaceServer(tx, server, server.host, { vmState, taskState: null, deadline: null, at });
      await setServer(tx, server, { vm_state: vmState, task_state: null, task_deadline: null, power_state: 0 }, { what: 'offloaded', at });
      await closeAction(tx, job, { at, error: null });
      return { to: 'done' };
    }),
  fail: (run, cause) => failAction(run, cause, { vm_state: 'shelved' }),
};

const drop: Step<'offload-server'> = {
  name: 'drop',
  async do(run) {
    const { job, parts, server } = run;
    if (server.softDeletedAt !== null) {
      // It was deleted softly as soon as it was shelved: it rests where it is.
      await run.commit(async (tx) => {
        await closeAction(tx, job, { at: parts.clock.now(), error: null });
        return { to: 'done' };
      });
      return 'waiting';
    }
    // A host that is down puts the guest away when it returns.
    const said = await askIfPossible(run, { step: 'drop', deed: 'dropGuest', args: {}, event: 'compute_shelve_offload_instance' });
    return said === 'waiting' ? said : 'finished';
  },
};

/** They stay set aside for it while it is nowhere. */
const volumes = takeVolumes<'offload-server'>(({ server }) => ({ from: server.host, to: null }));

const unbind: Step<'offload-server'> = { name: 'unbind', do: (run) => bindPorts(run, null, 'unbind') };
