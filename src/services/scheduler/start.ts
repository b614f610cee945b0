import type { Bus } from '../../bus/bus.ts';
import { conductorContract } from '../../bus/contracts/conductor.ts';
import { type HostAnswer, type HostRequest, schedulerContract } from '../../bus/contracts/scheduler.ts';
import type { Database } from '../../db/engine.ts';
import { type Clock, every } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { wireError } from '../../model/errors.ts';
import { CHANGES_RING } from '../../model/jobs.ts';
import { choiceOfDriver } from './driver-choice.ts';
import type { LiveAsk } from './filter.ts';
import { createHostMemory } from './host-memory.ts';
import { wishOf } from './live-wish.ts';
import { rulesOf, type SchedulerOptions } from './options.ts';
import { askPlugins, loadPlugins } from './plugins/load-plugins.ts';
import { type Choice, selectHosts } from './select.ts';

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

const noReasons: HostAnswer['reasons'] = { seen: 0, filters: [], nearestMiss: null, smallestChange: null };
const POLL_MS = 1000;
const SERVICES_MS = 5000;

/** Starts a scheduler. Any number of them may answer; each follows the change feed with a cursor of its own and sees the others' claims by it. */
export async function startScheduler(parts: SchedulerParts): Promise<Scheduler> {
  const { db, bus, clock, log } = parts;
  const plugins = await loadPlugins(parts.options, { clock, timeoutMs: parts.options.pluginTimeoutMs });
  const { options, driver } = plugins;
  const rules = rulesOf(options);
  const { pciAliases: aliases } = options;
  const memory = createHostMemory({ db: db.read, clock, pendingMs: options.pendingMs, aliases, enforced: rules.enforced });
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

  const choose = async (request: HostRequest, claimed?: true): Promise<{ choice: Choice; ask: LiveAsk }> => {
    for (;;) {
      const columns = claimed ? memory.claimedColumns() : memory.columns;
      const wish = wishOf(request, memory.groupHosts(request, claimed), aliases);
      const ask: LiveAsk = { request, wish, now: clock.now(), options: rules.options, aggregates: memory.aggregates };
      if (driver) return { choice: await choiceOfDriver(driver, columns, rules, ask), ask };
      if (plugins.parts.length === 0) return { choice: selectHosts(columns, rules, ask, seed), ask };
      const hosts = columns.hosts.slice();
      await askPlugins(plugins, hosts, ask);
      // Hosts that came meanwhile were not asked about: once more then.
      if (columns.hosts.length === hosts.length && (claimed || columns === memory.columns))
        return { choice: selectHosts(columns, rules, ask, seed), ask };
    }
  };
  const decide = async (request: HostRequest, fresh: boolean): Promise<HostAnswer> => {
    memory.forget(request.serverUuid);
    seed = (seed + 1) >>> 0;
    const own = seed;
    const answer = { seed: own, feedPosition: memory.position(), configHash: rules.hash };
    try {
      let { choice, ask } = await choose(request);
      // A choice of ours may come to nothing: another host claimed, or the server refused. Nobody is refused for the sake of a mere choice.
      if (choice.hosts.length === 0 && fresh) ({ choice, ask } = await choose(request, true));
      const chosen = choice.hosts[0];
      if (chosen) memory.consume(request, chosen.host, ask.wish);
      const hosts = choice.hosts.map(({ host, weight }) => ({
        host: host.facts.host,
        node: host.facts.node,
        provider: host.facts.uuid,
        weight: Number.isFinite(weight) ? weight : Math.sign(weight) * Number.MAX_VALUE || 0,
      }));
      return { ...answer, hosts, reasons: choice.reasons, failed: null };
    } catch (cause) {
      // One request that cannot be judged is no reason to fail those that came with it.
      log.warn({ err: cause, server: request.serverUuid }, 'a request for a host failed');
      return { ...answer, hosts: [], reasons: noReasons, failed: wireError(cause) };
    }
  };
  const select = async (requests: readonly HostRequest[], fresh: boolean) => {
    if (fresh) await refresh();
    const answers: HostAnswer[] = [];
    for (const request of requests) answers.push(await decide(request, fresh));
    return answers;
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
      await plugins.stop();
    },
  };
}
