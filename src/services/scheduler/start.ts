import type { Bus } from '../../bus/bus.ts';
import { conductorContract } from '../../bus/contracts/conductor.ts';
import { type HostAnswer, type HostRequest, schedulerContract } from '../../bus/contracts/scheduler.ts';
import type { Database } from '../../db/engine.ts';
import { type Clock, every } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { CHANGES_RING } from '../../model/jobs.ts';
import type { LiveAsk } from './filter.ts';
import { createHostMemory } from './host-memory.ts';
import { wishOf } from './live-wish.ts';
import { filterDefaults, rulesOf, type SchedulerOptions } from './options.ts';
import { selectHosts } from './select.ts';

export interface SchedulerParts {
  /** Only `read` is used: the scheduler advises, the conductor claims. */
  readonly db: Pick<Database, 'read'>;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: SchedulerOptions;
}
export interface Scheduler {
  stop(): Promise<void>;
  /** Decides here, without the bus. */
  select(requests: readonly HostRequest[], fresh: boolean): Promise<HostAnswer[]>;
}

const POLL_MS = 1000;
const SERVICES_MS = 5000;

/** Starts a scheduler. Any number of them may answer; each follows the change feed with a cursor of its own and sees the others' claims by it. */
export async function startScheduler(parts: SchedulerParts): Promise<Scheduler> {
  const { db, bus, clock, log, options } = parts;
  const rules = rulesOf(options);
  const filterOptions = { ...filterDefaults, serviceDownTime: options.serviceDownTime };
  const memory = createHostMemory({ db: db.read, clock, pendingMs: options.pendingMs });
  let seed = options.seed >>> 0;
  let following: Promise<void> | undefined;
  let refreshing: Promise<void> | undefined;
  /** Reads of the feed and fresh reads follow each other: none may set a number that a later one set already. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work, work);
    last = done.catch(() => undefined);
    return done;
  };
  const follow = () => {
    following ??= inTurn(() => {
      following = undefined;
      return memory.follow();
    });
    return following;
  };
  const refresh = () => {
    // Who asks while one is about to begin shares it; one that runs already may have read too early.
    refreshing ??= inTurn(() => {
      refreshing = undefined;
      return memory.refresh();
    });
    return refreshing;
  };
  await follow();

  const decide = (request: HostRequest, fresh: boolean): HostAnswer => {
    memory.forget(request.serverUuid);
    const ask: LiveAsk = { request, wish: wishOf(request, memory.groupHosts(request)), now: clock.now(), options: filterOptions };
    seed = (seed + 1) >>> 0;
    let choice = selectHosts(memory.columns, rules, ask, seed);
    // A choice of ours may come to nothing: another host claimed, or the server refused. Nobody is refused for the sake of a mere choice.
    if (choice.hosts.length === 0 && fresh)
      choice = selectHosts(memory.claimedColumns(), rules, { ...ask, wish: wishOf(request, memory.groupHosts(request, true)) }, seed);
    const chosen = choice.hosts[0];
    if (chosen) memory.consume(request, chosen.host);
    return {
      hosts: choice.hosts.map(({ host, weight }) => ({ host: host.facts.host, node: host.facts.node, provider: host.facts.uuid, weight })),
      reasons: choice.reasons,
      seed,
      feedPosition: memory.position(),
      configHash: rules.hash,
    };
  };
  const select = async (requests: readonly HostRequest[], fresh: boolean) => {
    if (fresh) await refresh();
    return requests.map((request) => decide(request, fresh));
  };

  const end = new AbortController();
  const failed = (what: string) => (cause: unknown) => log.warn({ err: cause }, what);
  const serving = await bus.serve(schedulerContract, {
    selectHosts: async ({ requests, fresh }) => ({ answers: await select(requests, fresh) }),
  });
  const listening = await bus.onRing(CHANGES_RING, () => void follow().catch(failed('the change feed could not be read')));
  const loops = [
    every(clock, POLL_MS, end.signal, follow, failed('the change feed could not be read')),
    every(
      clock,
      SERVICES_MS,
      end.signal,
      async () => {
        memory.dropOld();
        await inTurn(() => memory.readServices());
      },
      failed('services could not be read'),
    ),
    every(
      clock,
      10_000,
      end.signal,
      () => bus.tell(conductorContract, 'reportService', { host: options.host, binary: 'nova-scheduler' }),
      failed('liveness'),
    ),
  ];
  return {
    select,
    async stop() {
      end.abort();
      await listening();
      await serving();
      await Promise.all(loops);
      await last;
    },
  };
}
