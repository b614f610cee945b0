import { computeAgentContract } from '../../bus/contracts/compute-agent.ts';
import type { Query } from '../../db/engine.ts';
import { finishAction, insertEvents } from '../../db/tables/compute/actions.ts';
import { findMigration, setMigration } from '../../db/tables/compute/migrations.ts';
import { leaveOldPlace, switchHost } from '../../db/tables/compute/moving.ts';
import { faultText, setServer } from '../../db/tables/compute/placing.ts';
import type { Micros } from '../../lib/clock.ts';
import { migrationAborted } from '../../model/errors-moves.ts';
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
  finish: (run) => run.commit((tx) => end(run, tx, { status: 'completed', server: {}, error: null })),
  async fail(run, cause) {
    const { job, parts, server } = run;
    const at = parts.clock.now();
    const fault = { fault: faultText(faultOf(cause, at)) };
    await run.commit(async (tx) => {
      if (notesOf(run).moved) {
        // It is there; only what came after failed.
        const late = cause.code === 'job.deadline_passed';
        await end(run, tx, {
          status: late ? 'completed' : 'error',
          server: late ? {} : { vm_state: 'error', ...fault },
          error: late ? null : cause.message,
        });
        return { to: 'failed' };
      }
      const aborted = cause.code === 'migration.aborted';
      await setMigration(tx, job.input.migrationUuid, { status: aborted ? 'cancelled' : 'error' }, at);
      const set = {
        ...stateUnlessOvertaken(cause, job.input.vmStateBefore),
        task_state: null,
        task_deadline: null,
        ...(aborted ? {} : fault),
      };
      await setServer(tx, server, set, { what: 'action-failed', at, body: { fault: cause.message } });
      const { dest } = notesOf(run);
      if (dest) await noteEvents(tx, job, dest.host, at, { compute_rollback_live_migration_at_destination: 'done' });
      await closeAction(tx, job, { at, error: cause.message });
      await closeWishes(tx, server.uuid, at);
      return { to: 'failed' };
    });
  },
};

/** It stands on its new host. */
async function end(run: LiveRun, tx: Query, how: { status: string; server: { vm_state?: string; fault?: string }; error: string | null }) {
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
    const dropped = await askIfPossible(run, { step: 'drop', deed: 'dropGuest', args: {}, host: dest.host, epoch: epoch + 1 });
    return dropped === 'waiting' ? dropped : undefined;
  },
};

const send: Step<'live-migrate'> = {
  name: SEND,
  async do(run) {
    const { job } = run;
    const prepared = run.progress.notes[saidKey('prepare')] as SaidNote | undefined; // written by server-reports.ts
    const asked = run.progress.notes[askedKey(SEND)] as AskedNote | undefined; // written by askDeed
    const said = run.progress.notes[saidKey(SEND)] as SaidNote | undefined;
    const wish = await wishOf(run);
    if (said?.error?.code === 'agent.deed_given_up') throw migrationAborted({});
    if (wish !== null && !said) {
      if (asked) await urge(run, asked.host, wish);
      else if (wish === 'abort') throw migrationAborted({});
    }
    const outcome = await askDeed(run, {
      step: SEND,
      deed: 'migrateLive',
      args: { offer: (prepared?.result.offer as Record<string, unknown> | undefined) ?? {} }, // the agent checked it
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
    const outcome = await askIfPossible(run, { step: SEND, deed: 'migrateLive', args: { offer: {} } });
    if (outcome === 'waiting') return outcome;
    await run.commit(async () => ({ marks: { [SEND]: 'undone' }, notes: { moved: outcome !== null } }));
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
    const { dest, epoch } = notesOf(run);
    if (!dest || epoch === undefined) throw new Error('a migration without a place');
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

const wishOf = async (run: LiveRun) => (await findMigration(run.parts.db.read, { uuid: run.job.input.migrationUuid }))?.wish ?? null;

/** Passes a wish on to the host that sends, each time it is looked at: the message may get lost. */
async function urge(run: LiveRun, host: string, wish: keyof typeof wishes): Promise<void> {
  const { job, parts, server } = run;
  const { how, action, event } = wishes[wish];
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
