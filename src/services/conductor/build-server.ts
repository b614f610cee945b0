import { computeAgentContract } from '../../bus/contracts/compute-agent.ts';
import { type HostAnswer, type HostRequest, schedulerContract } from '../../bus/contracts/scheduler.ts';
import { findAction, finishEvents, insertEvents } from '../../db/tables/compute/actions.ts';
import { countBuildFailure } from '../../db/tables/compute/build-failures.ts';
import { type GroupRule, readGroup } from '../../db/tables/compute/groups.ts';
import { findHost, isUp } from '../../db/tables/compute/hosts.ts';
import { faultText, placeServer, setServer, unplaceServer } from '../../db/tables/compute/placing.ts';
import { batched } from '../../lib/batch.ts';
import { CloudError, rebuildError, type WireError } from '../../model/errors.ts';
import { groupNotFound, hostDown, noValidHost, triesExhausted } from '../../model/errors-conductor.ts';
import { amountsOf } from '../../model/resources.ts';
import { claimedCells } from './claimed-cells.ts';
import { asked, decide } from './decisions.ts';
import { buildCommand, ownDisks } from './guests.ts';
import { closeAction, faultOf } from './outcome.ts';
import type { ConductorParts } from './parts.ts';
import { partsAskOf } from './parts-ask.ts';
import { explainRefusal } from './refusal.ts';
import type { JobSpec, Run, Step } from './run-job.ts';
import { guestDisksOf, readyVolumes } from './server-volumes.ts';

type BuildRun = Run<'build-server'>;
type Ask = (ask: { request: HostRequest; fresh: boolean }) => Promise<HostAnswer>;

/** What a build leaves behind in its notes. */
export interface BuildNotes {
  /** Hosts that failed to build it, with the reason. */
  readonly tries?: readonly { readonly host: string; readonly message: string }[];
  /** The agent's word that the build failed; it has cleaned up after itself then. */
  readonly failed?: { readonly error: WireError } | null;
  readonly tells?: number;
}
const notesOf = (run: BuildRun) => run.progress.notes as BuildNotes; // only this file and server-reports.ts write them

/** Names of the events that Nova's clients know. */
export const SCHEDULE_EVENT = 'conductor_schedule_and_build_instances';
export const BUILD_EVENT = 'compute__do_build_and_run_instance';
/** How often a lost claim is followed by another question at once. */
const ROUNDS = 20;
const LIMIT = 5;

/** Builds a server: place it on a host in one transaction, let the agent build it, go to the next host when that fails. */
export function buildServer(parts: ConductorParts): JobSpec<'build-server'> {
  const ask = askScheduler(parts);
  return {
    steps: [place(ask), readyVolumes, build],
    finish: (run) => run.commit(async () => ({ to: 'done' })), // the agent's report ended it already (server-reports.ts)
    async fail(run, cause) {
      // A host that failed before left its ports to the next one, and there the build may not even have begun.
      if ((notesOf(run).tries ?? []).length > 0) await run.parts.network.release(run.server.uuid);
      const at = run.parts.clock.now();
      await run.commit(async (tx) => {
        await setServer(
          tx,
          run.server,
          { vm_state: 'error', task_state: null, task_deadline: null, fault: faultText(faultOf(cause, at)) },
          { what: 'build-failed', at, body: { fault: cause.message } },
        );
        await closeAction(tx, run.job, { at, error: cause.message });
        return { to: 'failed' };
      });
    },
  };
}

/** Asks of many jobs that come together cross the bus together. */
function askScheduler({ bus, options }: ConductorParts): Ask {
  const through = (fresh: boolean) =>
    batched<HostRequest, HostAnswer>(async (requests) => {
      const { answers } = await bus.ask(schedulerContract, 'selectHosts', { requests, fresh }, { timeoutMs: options.askMs });
      return answers;
    }, 200);
  const [usual, fresh] = [through(false), through(true)];
  return async (one) => {
    const answer = await (one.fresh ? fresh : usual)(one.request);
    if (answer.failed) throw rebuildError(answer.failed);
    return answer;
  };
}

const place = (ask: Ask): Step<'build-server'> => ({
  name: 'place',
  atomic: true,
  async do(run) {
    const { parts, job } = run;
    const { db, clock, options, log } = parts;
    const tries = notesOf(run).tries ?? [];
    for (let round = 0; ; round++) {
      const startedAt = clock.now();
      const group = await groupOf(run);
      const request = hostRequest(run, group);
      const machineParts = partsAskOf(options, run.server.flavor, run.server.image);
      let answer: HostAnswer;
      try {
        answer = await ask({ request, fresh: round > 0 });
      } catch (cause) {
        if (!(cause instanceof CloudError) || cause.kind !== 'unavailable') throw cause;
        log.warn({ err: cause, server: job.serverUuid }, 'the scheduler does not answer; asked again soon');
        await run.commit(async () => ({ to: 'queued', inMs: Math.min(1000, options.resendMs) }));
        return 'waiting';
      }
      if (answer.hosts.length > 0 && round >= ROUNDS) {
        // Others are always faster: each of our lost claims is one of theirs, so waiting a little is better than refusing.
        await run.commit(async () => ({ to: 'queued', inMs: 100 }));
        return 'waiting';
      }
      if (answer.hosts.length === 0) {
        if (round === 0) continue; // its memory may be old: once more on fresh data before anybody is refused
        await run.commit(async (tx) => {
          await decide(run, tx, request, answer, tries.length + 1);
          return {};
        });
        throw noValidHost({ why: explainRefusal(answer.reasons, tries.at(-1)?.message ?? null) });
      }
      run.point('place', 'middle');
      let stands: BuildRun['server'] | undefined;
      // One transaction for each host: one that went on to the next would hold rows of the first, and two of them could wait for each other.
      for (const place of answer.hosts) {
        await run.commit(async (tx) => {
          const at = clock.now();
          stands = undefined; // the transaction may be tried again
          // The job's own end comes first; the task's is for jobs that vanished.
          const task = {
            taskState: 'networking',
            deadline: job.deadline + 60_000_000,
            at,
            enforced: options.enforced,
            parts: machineParts,
          };
          const epoch = await placeServer(tx, db.kind, run.server, request.amounts, group, place, task);
          if (epoch === null) return null;
          const { host, node } = place;
          const alternates = answer.hosts.filter((one) => one !== place);
          await decide(run, tx, request, { ...answer, hosts: [place, ...alternates] }, tries.length + 1);
          const action = await findAction(tx, job.serverUuid, job.context.requestId);
          const details = explainChoice(answer, host);
          if (action !== undefined)
            await insertEvents(tx, action, [
              { event: SCHEDULE_EVENT, host, startedAt, finishedAt: at, result: 'Success', details },
              { event: BUILD_EVENT, host, startedAt: at, finishedAt: null, result: null, details: null },
            ]);
          stands = { ...run.server, host, node, epoch, taskState: 'networking' };
          // Volumes are got ready here first; else the agent can begin at once.
          if (run.server.volumes.length > 0) return { marks: { place: 'finished' }, notes: { failed: null, tells: 0, action } };
          return {
            to: 'waiting',
            marks: { place: 'finished', volumes: 'finished', build: 'started' },
            notes: { failed: null, tells: 1, action },
            inMs: options.resendMs,
          };
        });
        if (stands) break;
      }
      if (!stands) continue;
      run.server = stands;
      if (stands.volumes.length > 0) return 'finished';
      run.point('place', 'after');
      await tell(run);
      return 'waiting';
    }
  },
  async undo(run) {
    await leaveHost(run, { vmState: 'building', taskState: null });
  },
});

/** Why this host, for those who may see hosts. */
function explainChoice({ reasons, hosts }: HostAnswer, placed: string): string {
  const passed = reasons.filters.at(-1)?.after ?? reasons.seen;
  const weight = hosts.find(({ host }) => host === placed)?.weight ?? 0;
  const first = hosts[0]?.host === placed ? 'the best' : 'the first that still had room';
  return `on ${placed}: ${first} of ${passed} that fit, weight ${weight.toFixed(2)}; ${reasons.seen} looked at`;
}

const build: Step<'build-server'> = {
  name: 'build',
  async do(run) {
    const { parts, server, job } = run;
    const { options, db, clock } = parts;
    const host = server.host;
    const notes = notesOf(run);
    let failed = notes.failed?.error;
    if (!failed && host !== null) {
      const known = await findHost(db.read, { host });
      if (known && isUp(known, clock.now(), options.serviceDownTime)) {
        const tells = (notes.tells ?? 0) + 1;
        await run.commit(async () => ({ to: 'waiting', notes: { tells }, inMs: options.resendMs * Math.min(6, tells) }));
        run.point('build', 'middle');
        await tell(run);
        return 'waiting';
      }
      failed = {
        ...hostDown({ host }),
        code: 'host.down',
        kind: 'unavailable',
        message: 'The compute service of its host went down.',
        params: {},
      };
    }
    const cause = failed ? rebuildError(failed) : hostDown({ host: '' });
    const tries = [...(notes.tries ?? []), { host: host ?? '', message: cause.message }];
    if (isFinal(cause)) throw cause;
    if (tries.length >= options.maxAttempts)
      throw options.maxAttempts === 1
        ? cause
        : triesExhausted({ attempts: options.maxAttempts, uuid: job.serverUuid, last: cause.message });
    const at = clock.now();
    await run.commit(async (tx) => {
      const action = await findAction(tx, job.serverUuid, job.context.requestId);
      if (action !== undefined) await finishEvents(tx, action, null, { at, result: 'Error', details: cause.message });
      if (host !== null) await countBuildFailure(tx, db.kind, host, at);
      if (host !== null)
        await unplaceServer(tx, server, host, { vmState: 'building', taskState: 'scheduling', deadline: job.deadline + 60_000_000, at });
      return { marks: { place: 'undone', volumes: 'undone', build: 'undone' }, notes: { tries, failed: null, tells: 0 } };
    });
    run.server = { ...server, host: null, node: null, taskState: 'scheduling' };
    return 'again';
  },
  async undo(run) {
    const { parts, server, job } = run;
    if (server.host !== null && !notesOf(run).failed) {
      // The agent did not say that it is rid of the guest. One word to it now; if that is lost, its next report is answered 'stale' and it cleans then.
      const command = {
        jobUuid: job.uuid,
        uuid: server.uuid,
        epoch: server.epoch,
        deadline: parts.clock.now() + 60_000_000,
        releaseNetwork: false,
      };
      await parts.bus.tell(computeAgentContract, 'destroyServer', command, { host: server.host }).catch(() => undefined);
    }
    await parts.network.release(server.uuid);
  },
};

/** Ports are the server's, not the host's: they stay while it looks for another host, and only the end of the build gives them back. */
async function leaveHost(run: BuildRun, state: { vmState: string; taskState: string | null }): Promise<void> {
  const { server, parts } = run;
  await run.commit(async (tx) => {
    const at = parts.clock.now();
    if (server.host !== null) await unplaceServer(tx, server, server.host, { ...state, deadline: at + 60_000_000, at });
    return { marks: { place: 'undone' } };
  });
  run.server = { ...server, host: null, node: null };
}

async function tell(run: BuildRun): Promise<void> {
  const { parts, server, job } = run;
  if (server.host === null) return;
  const command = buildCommand(job, server, await claimedCells(run), await guestDisksOf(parts.db.read, server));
  // A lost command is sent again when the job is looked at next: nothing depends on this one.
  await parts.bus
    .tell(computeAgentContract, 'buildServer', command, { host: server.host })
    .catch((cause) => parts.log.warn({ err: cause, server: server.uuid }, 'a build command could not be sent yet'));
}

/** Errors another host would answer alike: what the user asked for cannot be. */
const isFinal = (cause: CloudError) => ['invalid', 'forbidden', 'notFound', 'conflict', 'tooLarge', 'notImplemented'].includes(cause.kind);

async function groupOf(run: BuildRun): Promise<GroupRule | undefined> {
  const uuid = run.job.input.groupUuid;
  if (uuid === null) return undefined;
  const group = await readGroup(run.parts.db.read, uuid);
  if (!group) throw groupNotFound({ uuid });
  return group;
}

function hostRequest({ job, server, progress }: BuildRun, group: GroupRule | undefined): HostRequest {
  const { input } = job;
  return {
    serverUuid: server.uuid,
    projectId: server.projectId,
    amounts: amountsOf(ownDisks(server)),
    ...asked(server),
    extraSpecs: server.flavor.extraSpecs,
    imageProperties: server.image?.properties ?? {},
    availabilityZone: server.availabilityZone,
    forcedHost: input.forcedHost,
    forcedNode: input.forcedNode,
    requestedHost: input.requestedHost,
    requestedHypervisor: input.requestedHypervisor,
    excludedHosts: ((progress.notes as BuildNotes).tries ?? []).map((one) => one.host),
    group: group ?? null,
    schedulerHints: server.schedulerHints,
    rebuild: false,
    limit: LIMIT,
  };
}
