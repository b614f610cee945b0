import { type HostAnswer, type HostRequest, schedulerContract } from '../../bus/contracts/scheduler.ts';
import type { Query } from '../../db/engine.ts';
import { type GroupRule, readGroup } from '../../db/tables/compute/groups.ts';
import type { Place } from '../../db/tables/compute/placing.ts';
import { groupsOf } from '../../db/tables/compute/servers.ts';
import type { Micros } from '../../lib/clock.ts';
import { CloudError, rebuildError } from '../../model/errors.ts';
import { noValidHost } from '../../model/errors-conductor.ts';
import type { JobKind } from '../../model/jobs.ts';
import { amountsOf } from '../../model/resources.ts';
import type { Flavor, Server } from '../../model/server.ts';
import { asked, decide } from './decisions.ts';
import { ownDisks } from './guests.ts';
import { explainRefusal } from './refusal.ts';
import type { Run, Turn } from './run-job.ts';

/** How often a lost claim is followed by another question at once. */
const ROUNDS = 20;
const LIMIT = 5;

export interface PlaceWish {
  readonly flavor: Flavor;
  readonly group: GroupRule | undefined;
  readonly excludedHosts: readonly string[];
  /** Asked of the filters, or taken as it is. */
  readonly requestedHost: string | null;
  readonly forcedHost: string | null;
}

/** The group of a server that moves, without itself: what it leaves must not stand in its way. */
export async function groupOfMover(db: Query, server: Pick<Server, 'uuid' | 'host'>): Promise<GroupRule | undefined> {
  const [uuid] = await groupsOf(db, server.uuid);
  const group = uuid === undefined ? undefined : await readGroup(db, uuid);
  if (!group || server.host === null) return group;
  const hosts = Object.entries(group.hosts).map(([host, members]) => [host, host === server.host ? members - 1 : members] as const);
  return { ...group, hosts: Object.fromEntries(hosts.filter(([, members]) => members > 0)) };
}

/** Asks the scheduler for hosts and takes the first that `take` can claim, in one transaction with the job's turn. 'waiting': the job was handed on, because
 *  nobody answers now. Throws noValidHost with the reasons. */
export async function findPlace<K extends JobKind>(
  run: Run<K>,
  step: string,
  wish: PlaceWish,
  take: (tx: Query, place: Place, at: Micros) => Promise<Turn | null>,
): Promise<'finished' | 'waiting'> {
  const { parts, server } = run;
  const { bus, clock, options, log } = parts;
  const request = requestOf(server, wish);
  for (let round = 0; ; round++) {
    let answer: HostAnswer | undefined;
    try {
      const { answers } = await bus.ask(
        schedulerContract,
        'selectHosts',
        { requests: [request], fresh: true },
        { timeoutMs: options.askMs },
      );
      answer = answers[0];
    } catch (cause) {
      if (!(cause instanceof CloudError) || cause.kind !== 'unavailable') throw cause;
      log.warn({ err: cause, server: server.uuid }, 'the scheduler does not answer; asked again soon');
    }
    if (!answer || (answer.hosts.length > 0 && round >= ROUNDS)) {
      await run.commit(async () => ({ to: 'queued', inMs: Math.min(1000, options.resendMs) }));
      return 'waiting';
    }
    if (answer.failed) throw rebuildError(answer.failed);
    if (answer.hosts.length === 0) {
      const refused = answer;
      await run.commit(async (tx) => {
        await decide(run, tx, request, refused, 1);
        return {};
      });
      throw noValidHost({ why: explainRefusal(answer.reasons, null) });
    }
    run.point(step, 'middle');
    for (const place of answer.hosts) {
      const chosen = { ...answer, hosts: [place, ...answer.hosts.filter((one) => one !== place)] };
      let taken = false;
      // One transaction for each host, as in build-server.ts.
      await run.commit(async (tx) => {
        const turn = await take(tx, place, clock.now());
        taken = turn !== null;
        if (taken) await decide(run, tx, request, chosen, 1);
        return turn;
      });
      if (taken) return 'finished';
    }
  }
}

function requestOf(server: Server, { flavor, group, excludedHosts, requestedHost, forcedHost }: PlaceWish): HostRequest {
  return {
    serverUuid: server.uuid,
    projectId: server.projectId,
    amounts: amountsOf(ownDisks({ flavor, imageId: server.imageId })),
    ...asked({ ...server, flavor }),
    extraSpecs: flavor.extraSpecs,
    imageProperties: server.image?.properties ?? {},
    availabilityZone: server.availabilityZone,
    forcedHost,
    forcedNode: null,
    requestedHost,
    requestedHypervisor: null,
    excludedHosts: [...excludedHosts],
    group: group ?? null,
    schedulerHints: server.schedulerHints,
    rebuild: forcedHost !== null,
    limit: LIMIT,
  };
}
