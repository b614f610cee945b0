import { computeAgentContract } from '../../bus/contracts/compute-agent.ts';
import type { Query } from '../../db/engine.ts';
import { finishAction, insertEvents } from '../../db/tables/compute/actions.ts';
import { findHost, isUp } from '../../db/tables/compute/hosts.ts';
import { findMigration, setMigration } from '../../db/tables/compute/migrations.ts';
import { leaveOldPlace, switchHost } from '../../db/tables/compute/moving.ts';
import { faultText, setServer } from '../../db/tables/compute/placing.ts';
import type { Micros } from '../../lib/clock.ts';
import { type CloudError, rebuildError } from '../../model/errors.ts';
import { guestLostThere } from '../../model/errors-hypervisor.ts';
import { migrationAborted, targetSilent } from '../../model/errors-moves.ts';
import { powerStates } from '../../model/server.ts';
import { claimedCells } from './claimed-cells.ts';
import { type AskedNote, askDeed, askedKey, type SaidNote, saidKey } from './deed-step.ts';
import {
  arriving,
  askIfPossible,
  bindBack,
  bindPorts,
  migrationOf,
  mustStillFit,
  noteEvents,
  notesOf,
  orderTidying,
  stateUnlessOvertaken,
} from './move-steps.ts';
import { disksThere, keepVolumes, takeVolumes, writeVolumes } from './move-volumes.ts';
import { closeAction, faultOf } from './outcome.ts';
import { elsewhere, reserveThere } from './reserve-there.ts';
import type { JobSpec, Run, Step } from './run-job.ts';

type LiveRun = Run<'live-migrate'>;
const SEND = 'send';
const LOST_THERE = 'guest.lost_there';
const LOST_HERE = 'guest.lost_here';
/** How often a target is told that nothing comes, and the first pause between, of what it is usually. */
const DROP_TELLS = 3;
const DROP_PAUSE = 0.3;
/** Instance actions that are wishes about a migration on its way, by the word in its row. */
const wishes = {
  abort: { action: 'live_migration_cancel', event: 'compute_live_migration_abort', how: 'abort' },
  'force-complete': { action: 'live_migration_force_complete', event: 'compute_live_migration_force_complete', how: 'force' },
} as const;

/** A running guest goes to another host. Until it has arrived it runs on where it is, and nothing that fails changes that; from then on there is no way back.
 *  Spec: compute api-ref "Live-Migrate Server". */
export const liveMigrate: JobSpec<'live-migrate'> = {
  get steps() {
    return [reserve, volumes, prepare, send, ports, settle, keepVolumes()];
  },
  finish: (run) =>
    run.commit((tx) => {
      const lost = lossOf(run);
      if (!lost) return end(run, tx, { status: 'completed', server: {}, error: null });
      const fault = faultText(faultOf(lost, run.parts.clock.now()));
      const server = { vm_state: 'error', power_state: powerStates.crashed, fault };
      return end(run, tx, { status: 'error', server, error: lost.message });
    }),
  async fail(run, cause) {
    const { job, parts, server } = run;
    const at = parts.clock.now();
    const { moved, lost, dest, ports: bound } = notesOf(run);
    const claimed = run.progress.steps[SEND] === 'undone'; // it was found there when the host it was on could not be heard any more
    const late = cause.code === 'job.deadline_passed' || claimed;
    if (moved && dest && !bound)
      await parts.network.bind(server.uuid, dest.host).then(
        (found) => run.commit(async () => ({ notes: { ports: found } })),
        (err) => parts.log.error({ err, server: server.uuid }, 'ports of a server that has moved could not be bound to its host'),
      );
    const told = lossOf(run) ?? cause;
    const fault = { fault: faultText(faultOf(told, at)) };
    await run.commit(async (tx) => {
      if (moved) {
        // It is there; only what came after failed.
        const well = late && !lost;
        const power = lost ? { power_state: powerStates.crashed } : {};
        await end(run, tx, {
          status: well ? 'completed' : 'error',
          server: well ? {} : { vm_state: 'error', ...power, ...fault },
          error: well ? null : told.message,
        });
        return { to: 'failed' };
      }
      const aborted = cause.code === 'migration.aborted';
      await setMigration(tx, job.input.migrationUuid, { status: aborted ? 'cancelled' : 'error' }, at);
      const gone = cause.code === LOST_HERE ? { vm_state: 'error', power_state: powerStates.crashed } : {};
      const state = { ...stateUnlessOvertaken(cause, job.input.vmStateBefore), ...gone };
      const set = { ...state, task_state: null, task_deadline: null, ...(aborted ? {} : fault) };
      await setServer(tx, server, set, { what: 'action-failed', at, body: { fault: cause.message } });
      if (dest) await noteEvents(tx, job, dest.host, at, { compute_rollback_live_migration_at_destination: 'done' });
      await closeAction(tx, job, { at, error: cause.message });
      await closeWishes(tx, server.uuid, at);
      return { to: 'failed' };
    });
  },
};

/** It stands on its new host. */
async function end(
  run: LiveRun,
  tx: Query,
  how: { status: string; server: { vm_state?: string; power_state?: number; fault?: string }; error: string | null },
) {
  const { job, parts, server } = run;
  const at = parts.clock.now();
  const { dest, epoch, ports: bound } = notesOf(run);
  if (!dest || epoch === undefined) throw new Error('a migration without a place');
  const network_info = JSON.stringify(bound ?? server.networkInfo);
  const set = { task_state: null, task_deadline: null, network_info, progress: 0, fault: null, ...how.server };
  await writeVolumes(tx, run, at);
  await switchHost(tx, server, { ...dest, epoch: epoch + 1 }, set, at);
  const migration = await migrationOf(tx, job.input.migrationUuid);
  await leaveOldPlace(tx, server, migration, at);
  await setMigration(tx, migration.uuid, { status: how.status }, at);
  if (server.host !== null) await orderTidying(tx, job, server.host, epoch, at);
  await closeAction(tx, job, { at, error: how.error });
  await closeWishes(tx, server.uuid, at);
  return { to: 'done' as const };
}

const reserve = reserveThere<'live-migrate'>({
  async wish(run) {
    if ((await wishOf(run)) === 'abort') throw migrationAborted({});
    await mustStillFit(run, run.job.input.migrationUuid, 'liveMigrate');
    return elsewhere(run);
  },
  status: 'queued',
  async also(tx, { job, server }, host, at) {
    await noteEvents(tx, job, null, at, { conductor_live_migrate_instance: 'open' });
    await noteEvents(tx, job, host, at, { compute_check_can_live_migrate_destination: 'done' });
    await noteEvents(tx, job, server.host, at, { compute_check_can_live_migrate_source: 'done' });
  },
});

const volumes = takeVolumes<'live-migrate'>((run) => {
  const { dest, moved = false } = notesOf(run);
  return { from: run.server.host, to: dest?.host ?? null, arrived: moved };
});

const prepare: Step<'live-migrate'> = {
  name: 'prepare',
  async do(run) {
    const { job, server } = run;
    const { dest, epoch } = notesOf(run);
    if (!dest || epoch === undefined) throw new Error('a migration without a place');
    if ((await wishOf(run)) === 'abort') throw migrationAborted({});
    const said = await askDeed(run, {
      step: 'prepare',
      deed: 'prepareIncoming',
      args: arriving(server, server.flavor, server.networkInfo, await claimedCells(run), await disksThere(run)),
      host: dest.host,
      epoch: epoch + 1,
      event: 'compute_pre_live_migration',
      also: async (tx, at) => void (await setMigration(tx, job.input.migrationUuid, { status: 'preparing' }, at)),
    });
    return said === 'waiting' ? said : 'finished';
  },
  async undo(run) {
    const { dest, epoch, moved } = notesOf(run);
    if (moved || !dest || epoch === undefined || run.progress.notes[askedKey('prepare')] === undefined) return undefined;
    // The server runs on and waits for this alone. A host that is silent has what it was told when it listens again, and otherwise finds out by itself.
    const drop = { step: 'drop', deed: 'dropGuest', args: {}, host: dest.host, epoch: epoch + 1 } as const;
    const dropped = await askIfPossible(run, { ...drop, resendMs: run.parts.options.resendMs * DROP_PAUSE }, DROP_TELLS);
    return dropped === 'waiting' ? dropped : undefined;
  },
};

const send: Step<'live-migrate'> = {
  name: SEND,
  async do(run) {
    const { job } = run;
    const asked = run.progress.notes[askedKey(SEND)] as AskedNote | undefined; // written by askDeed
    const said = run.progress.notes[saidKey(SEND)] as SaidNote | undefined;
    const wish = await wishOf(run);
    const { dest, silent = false } = notesOf(run);
    if (said?.error?.code === 'agent.deed_given_up') throw silent ? targetSilent({ host: dest?.host ?? '' }) : migrationAborted({});
    if (said?.error?.code === LOST_THERE) {
      await run.commit(async () => ({ marks: { [SEND]: 'finished' }, notes: { moved: true, lost: true } }));
      return 'finished';
    }
    if (asked && !said && wish !== 'abort' && (silent || (await isDown(run, dest?.host ?? null)))) {
      if (!silent) await run.commit(async () => ({ notes: { silent: true } }));
      await tellWish(run, asked.host, 'abort');
    } else if (wish !== null && !said) {
      if (asked) await urge(run, asked.host, wish);
      else if (wish === 'abort') throw migrationAborted({});
    }
    const outcome = await askDeed(run, {
      step: SEND,
      deed: 'migrateLive',
      args: { offer: offerOf(run) },
      event: 'compute_live_migration',
      also: async (tx, at) => void (await setMigration(tx, job.input.migrationUuid, { status: 'running' }, at)),
    });
    if (outcome === 'waiting') return outcome;
    await run.commit(async () => ({ marks: { [SEND]: 'finished' }, notes: { moved: true } }));
    return 'finished';
  },
  /** It may have arrived all the same: the source's word decides. As long as it can be heard it is waited for. */
  async undo(run) {
    const asked = run.progress.notes[askedKey(SEND)] as AskedNote | undefined;
    if (!asked || notesOf(run).moved) return undefined;
    const said = run.progress.notes[saidKey(SEND)] as SaidNote | undefined;
    if (!said) await urge(run, asked.host, 'abort');
    const outcome = await askIfPossible(run, { step: SEND, deed: 'migrateLive', args: { offer: offerOf(run) } });
    if (outcome === 'waiting') return outcome;
    const { dest, epoch } = notesOf(run);
    const heard = (run.progress.notes[saidKey(SEND)] as SaidNote | undefined)?.error;
    let [moved, lost] = [outcome !== null || heard?.code === LOST_THERE, heard?.code === LOST_THERE];
    if (!moved && !heard && dest && epoch !== undefined) {
      // Nobody can be asked where it was: then it is the other host's if that has it.
      const claimed = await askIfPossible(run, { step: 'claim', deed: 'claimIncoming', args: {}, host: dest.host, epoch: epoch + 1 });
      if (claimed === 'waiting') return claimed;
      moved = claimed !== null && claimed.result.here !== 'none';
      lost = claimed?.result.here === 'lost';
    }
    await run.commit(async () => ({ marks: { [SEND]: 'undone' }, notes: { moved, lost } }));
    return undefined;
  },
};

const ports: Step<'live-migrate'> = {
  name: 'ports',
  do: (run) => bindPorts(run, notesOf(run).dest?.host ?? null, 'ports'),
  async undo(run) {
    if (!notesOf(run).moved) await bindBack(run, run.server.host);
    return undefined;
  },
};

const settle: Step<'live-migrate'> = {
  name: 'settle',
  async do(run) {
    const { dest, epoch, lost } = notesOf(run);
    if (!dest || epoch === undefined) throw new Error('a migration without a place');
    if (lost) return 'finished';
    const said = await askDeed(run, {
      step: 'settle',
      deed: 'finishIncoming',
      args: { paused: run.job.input.vmStateBefore === 'paused' },
      host: dest.host,
      epoch: epoch + 1,
      event: 'compute_post_live_migration_at_destination',
    });
    return said === 'waiting' ? said : 'finished';
  },
};

/** What the other host answered when it was ready. */
const offerOf = (run: LiveRun) => {
  const prepared = run.progress.notes[saidKey('prepare')] as SaidNote | undefined; // written by server-reports.ts
  return (prepared?.result.offer as Record<string, unknown> | undefined) ?? {}; // the agent checked it
};
/** Why it is there and does not run; null: it does, as far as known. */
function lossOf(run: LiveRun): CloudError | null {
  if (!notesOf(run).lost) return null;
  const said = run.progress.notes[saidKey(SEND)] as SaidNote | undefined; // written by server-reports.ts
  return said?.error ? rebuildError(said.error) : guestLostThere({ why: 'the host it was on went down' });
}
const isDown = async ({ parts }: LiveRun, host: string | null) => {
  const known = host === null ? undefined : await findHost(parts.db.read, { host });
  return !known || !isUp(known, parts.clock.now(), parts.options.serviceDownTime);
};
const wishOf = async (run: LiveRun) => (await findMigration(run.parts.db.read, { uuid: run.job.input.migrationUuid }))?.wish ?? null;

/** Passes a wish on to the host that sends, each time it is looked at: the message may get lost. */
async function urge(run: LiveRun, host: string, wish: keyof typeof wishes): Promise<void> {
  const { parts, server } = run;
  const { action, event } = wishes[wish];
  if (notesOf(run).urged !== wish)
    await run.commit(async (tx) => {
      const at = parts.clock.now();
      const open = await openActions(tx, server.uuid, [action]);
      for (const { id } of open) {
        await insertEvents(tx, id, [{ event, host, startedAt: at, finishedAt: at, result: 'Success', details: null }]);
        await finishAction(tx, id, at, null);
      }
      return { notes: { urged: wish } };
    });
  await tellWish(run, host, wish);
}
async function tellWish({ job, parts, server }: LiveRun, host: string, wish: keyof typeof wishes): Promise<void> {
  const { how } = wishes[wish];
  await parts.bus
    .tell(computeAgentContract, 'urgeDeed', { jobUuid: job.uuid, uuid: server.uuid, step: SEND, how }, { host })
    .catch((cause) => parts.log.warn({ err: cause, server: server.uuid }, 'a wish about a migration could not be sent yet'));
}

const openActions = (tx: Query, serverUuid: string, names: readonly string[]) =>
  tx
    .selectFrom('server_actions')
    .select('id')
    .where('server_uuid', '=', serverUuid)
    .where('action', 'in', names)
    .where('finished_at', 'is', null)
    .execute();

/** Wishes that came too late end with the migration. */
async function closeWishes(tx: Query, serverUuid: string, at: Micros): Promise<void> {
  const names = Object.values(wishes).map((one) => one.action);
  for (const { id } of await openActions(tx, serverUuid, names)) await finishAction(tx, id, at, null);
}
