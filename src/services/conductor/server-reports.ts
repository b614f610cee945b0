import type { AgentReport, Verdict } from '../../bus/contracts/conductor.ts';
import type { Query } from '../../db/engine.ts';
import { findAction, finishAction, finishEvents, insertEvents } from '../../db/tables/compute/actions.ts';
import { forgetBuildFailures } from '../../db/tables/compute/build-failures.ts';
import { findHost } from '../../db/tables/compute/hosts.ts';
import { endJob, findJobs, requeueJob } from '../../db/tables/compute/jobs.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import { toServer } from '../../db/tables/compute/servers.ts';
import type { Micros } from '../../lib/clock.ts';
import { staleAgent } from '../../model/errors-conductor.ts';
import { JOBS_RING, type Job } from '../../model/jobs.ts';
import { powerStates, type Server } from '../../model/server.ts';
import { ACT, recordAct } from './act-on-server.ts';
import { BUILD_EVENT } from './build-server.ts';
import { type AskedNote, askedKey, type SaidNote, saidKey } from './deed-step.ts';
import { endServer } from './delete-server.ts';
import { phaseEvents } from './phase-events.ts';
import type { Parts } from './run-job.ts';

export interface Sender {
  readonly host: string;
  readonly hostUuid: string;
  readonly epoch: number;
}

/** Refuses agents whose host another one has taken over. Throws staleAgent. */
export async function mustOwnHost(tx: Query, sender: Sender): Promise<void> {
  const known = await findHost(tx, { uuid: sender.hostUuid });
  if (!known || known.epoch !== sender.epoch || known.host !== sender.host) throw staleAgent({ host: sender.host, epoch: sender.epoch });
}

/** Records what agents have to say, a whole list in one transaction. Hearing the same twice changes nothing the second time. */
export async function recordReports(parts: Parts, sender: Sender, reports: readonly AgentReport[]): Promise<Verdict[]> {
  const { db, clock, network, bus, log } = parts;
  let requeued = false;
  let leftovers: string[] = [];
  const verdicts = await db.transaction(async (tx) => {
    requeued = false;
    leftovers = [];
    await mustOwnHost(tx, sender);
    const at = clock.now();
    const uuids = [...new Set(reports.map((report) => report.uuid))];
    const servers = new Map(
      (await tx.selectFrom('servers').selectAll().where('uuid', 'in', uuids).execute()).map((row) => [row.uuid, row]),
    );
    const jobs = new Map(
      (
        await findJobs(
          tx,
          reports.flatMap((report) => report.jobUuid ?? []),
        )
      ).map((job) => [job.uuid, job]),
    );
    const answers: Verdict[] = [];
    let built = false;
    for (const report of reports) {
      const row = servers.get(report.uuid);
      const job = report.jobUuid === null ? undefined : jobs.get(report.jobUuid);
      const server = row && toServer(row);
      const owned = server !== undefined && !server.deleted && server.epoch === report.epoch && server.host === sender.host;
      // A report that comes twice in one list, or of a job that ended, must not find it again.
      const awaited = report.kind === 'deed' && isAwaited(report, job, sender.host);
      if (job && job.status !== 'failed' && server && (report.kind === 'deed' ? awaited : owned)) {
        jobs.delete(job.uuid);
        const kept = await record(tx, report, job, server, sender.host, at);
        requeued ||= kept === 'requeued';
        // Later reports of this list must see it: a guest may stop by itself as soon as it is built.
        built ||= kept === 'ended' && report.kind === 'built';
        if (kept === 'ended' && row && report.kind === 'built')
          servers.set(report.uuid, { ...row, vm_state: 'active', task_state: null, power_state: powerStates.running });
        answers.push('recorded');
      } else if (report.kind === 'deed') {
        answers.push('recorded'); // heard before, or nobody waits for it any more
      } else if (report.kind === 'power' && owned) {
        await recordPower(tx, report, server, at);
        answers.push('recorded');
      } else {
        answers.push(
          owned && server.vmState !== 'error' ? 'recorded' : report.kind === 'built' || report.kind === 'power' ? 'stale' : 'recorded',
        );
        if (!server || server.deleted || (server.vmState === 'error' && server.host === null)) leftovers.push(report.uuid);
      }
    }
    if (built) await forgetBuildFailures(tx, sender.host, at);
    return answers;
  });
  parts.changed();
  if (requeued) bus.ring(JOBS_RING);
  // A server that is gone, or whose build failed elsewhere: a late agent may have made ports after they were given back.
  for (const uuid of leftovers)
    await network
      .release(uuid)
      .catch((cause) => log.warn({ err: cause, server: uuid }, 'ports of a deleted server could not be given back'));
  return verdicts;
}

/** Whether a job waits for this word of this host, and has not heard it yet. */
function isAwaited(report: AgentReport, job: Job | undefined, host: string): boolean {
  const step = report.step ?? '';
  const asked = job?.progress.notes[askedKey(step)] as AskedNote | undefined; // written by askDeed only
  return asked?.host === host && asked.epoch === report.epoch && job?.progress.notes[saidKey(step)] === undefined;
}

async function record(
  tx: Query,
  report: AgentReport,
  job: Job,
  server: Server,
  host: string,
  at: Micros,
): Promise<'ended' | 'requeued' | 'ignored'> {
  if (report.kind === 'deed') {
    const step = report.step ?? '';
    if (job.kind === 'act-on-server' && step === ACT && report.error === null) {
      if (!(await endJob(tx, job))) return 'ignored';
      await recordPhases(tx, report, job, host);
      await recordAct(tx, report, job as Job<'act-on-server'>, server, at); // by its kind
      return 'ended';
    }
    const { error, power, networkInfo, phases } = report;
    const said: SaidNote = { error, power, networkInfo, phases, result: report.result ?? {} };
    const progress = { ...job.progress, notes: { ...job.progress.notes, [saidKey(step)]: said } };
    if (!(await requeueJob(tx, job, progress, at))) return 'ignored';
    await recordPhases(tx, report, job, host);
    return 'requeued';
  }
  if (report.error !== null) {
    // The job goes on where it stands, with the reason: the next host, or back to what was.
    const progress = { ...job.progress, notes: { ...job.progress.notes, failed: { error: report.error } } };
    return (await requeueJob(tx, job, progress, job.kind === 'delete-server' ? at + 2_000_000 : at)) ? 'requeued' : 'ignored';
  }
  if (job.kind === 'build-server' && report.kind === 'built') {
    if (job.progress.steps.place !== 'finished' || !(await endJob(tx, job))) return 'ignored';
    await recordBuilt(tx, report, job, server, at);
    return 'ended';
  }
  if (job.kind === 'delete-server' && report.kind === 'destroyed') {
    if (server.volumes.length > 0) {
      // Its volumes are given back by the job, which asks another service for it.
      const progress = { ...job.progress, steps: { ...job.progress.steps, destroy: 'finished' as const } };
      return (await requeueJob(tx, job, progress, at)) ? 'requeued' : 'ignored';
    }
    if (!(await endJob(tx, job))) return 'ignored';
    await endServer(tx, job, server, at);
    return 'ended';
  }
  return 'ignored';
}

async function recordPhases(tx: Query, report: AgentReport, job: Job, host: string): Promise<void> {
  if (report.phases.length === 0) return;
  const action = await findAction(tx, report.uuid, job.context.requestId);
  if (action !== undefined) await insertEvents(tx, action, phaseEvents(report.phases, host));
}

async function recordBuilt(tx: Query, report: AgentReport, job: Job, server: Server, at: Micros): Promise<void> {
  await setServer(
    tx,
    server,
    {
      vm_state: 'active',
      task_state: null,
      task_deadline: null,
      power_state: powerStates.running,
      launched_at: at,
      network_info: JSON.stringify(report.networkInfo ?? []),
      fault: null,
    },
    { what: 'active', at, epoch: report.epoch },
  );
  const noted = job.progress.notes.action;
  const action = typeof noted === 'number' ? noted : await findAction(tx, server.uuid, job.context.requestId);
  if (action === undefined) return;
  const host = server.host;
  await finishEvents(tx, action, BUILD_EVENT, { at, result: 'Success', details: report.details });
  await insertEvents(tx, action, phaseEvents(report.phases, host));
  await finishAction(tx, action, at, null);
}

/** What a server is whose guest was found so, if it is one of these: a stop, pause or suspend whose answer was lost was done all the same. */
const stateOfPower: Readonly<Partial<Record<NonNullable<AgentReport['power']>, string>>> = {
  running: 'active',
  paused: 'paused',
  suspended: 'suspended',
  shutdown: 'stopped',
  crashed: 'stopped',
};
const follows: ReadonlySet<string> = new Set(Object.values(stateOfPower));

/** A guest that stopped or started by itself. A running task has the say over states, as in Nova. */
async function recordPower(tx: Query, report: AgentReport, server: Server, at: Micros): Promise<void> {
  if (server.taskState !== null || report.power === null) return;
  const power_state = powerStates[report.power];
  const vm_state = (follows.has(server.vmState) ? stateOfPower[report.power] : undefined) ?? server.vmState;
  if (power_state === server.powerState && vm_state === server.vmState) return;
  const more = { what: 'power', at, epoch: report.epoch, noTask: true as const, body: { details: report.details } };
  await setServer(tx, server, { vm_state, power_state }, more);
}

/** Adds a line to the history of a server's making. Heard late or twice it does no harm. */
export async function noteEvent(
  parts: Parts,
  note: Sender & { uuid: string; serverEpoch: number; event: string; at: Micros },
): Promise<void> {
  await parts.db.transaction(async (tx) => {
    await mustOwnHost(tx, note);
    const row = await tx
      .selectFrom('servers')
      .select(['uuid', 'host'])
      .where('uuid', '=', note.uuid)
      .where('epoch', '=', note.serverEpoch)
      .executeTakeFirst();
    const action = await tx
      .selectFrom('server_actions')
      .select('id')
      .where('server_uuid', '=', note.uuid)
      .where('action', '=', 'create')
      .executeTakeFirst();
    if (!row || !action) return;
    const { event, at } = note;
    await insertEvents(tx, action.id, [
      { event: `phase_${event}`, host: row.host, startedAt: at, finishedAt: at, result: 'Success', details: 'first request' },
    ]);
  });
}
