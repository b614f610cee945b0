import { type Outside, openAnnouncer } from '../../bus/announcer.ts';
import type { Bus } from '../../bus/bus.ts';
import { conductorContract } from '../../bus/contracts/conductor.ts';
import { type Advice, type DecisionTable, type HostAnswer, type HostRequest, schedulerContract } from '../../bus/contracts/scheduler.ts';
import type { Static } from '../../bus/schema.ts';
import type { Database } from '../../db/engine.ts';
import { type Clock, every, type Micros } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { wireError } from '../../model/errors.ts';
import { CHANGES_RING } from '../../model/jobs.ts';
import { advise } from './advise.ts';
import { openDecisionNews } from './decision-news.ts';
import { choiceOfDriver } from './driver-choice.ts';
import { explainTable } from './explain-table.ts';
import { createFastPath } from './fast/fast-path.ts';
import { keepJournal, rewindKept } from './fast/journal.ts';
import type { LiveAsk } from './filter.ts';
import type { HostColumns } from './host-columns.ts';
import { createHostMemory } from './host-memory.ts';
import { loadJournals, saveJournals } from './journal-file.ts';
import { wishOf } from './live-wish.ts';
import { rulesOf, type SchedulerOptions } from './options.ts';
import { askPlugins, loadPlugins } from './plugins/load-plugins.ts';
import { type Choice, selectHosts } from './select.ts';

type Asked<K extends keyof typeof schedulerContract.messages> = Static<(typeof schedulerContract.messages)[K]['input']>;
/** A request whoever it is for. */
const wordsOf = (request: HostRequest) => JSON.stringify({ ...request, serverUuid: '' });
/** JSON knows no infinity. */
const onWire = (weight: number) => (Number.isFinite(weight) ? weight : Math.sign(weight) * Number.MAX_VALUE || 0);

export interface SchedulerParts extends Outside {
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

interface Refusal {
  readonly choice: Choice;
  readonly ask: LiveAsk;
  readonly columns: HostColumns;
  /** Number of the next change of hosts then. */
  readonly changes: number;
  readonly claimed?: true;
}
const noReasons: HostAnswer['reasons'] = { seen: 0, filters: [], nearestMiss: null, smallestChange: null };
const POLL_MS = 1000;
const SERVICES_MS = 5000;
/** So many journals are kept beside the present one, or in a file. */
const OLDER = 4;
/** A small cloud's journal is also written while it runs, for the case that nobody says stop. */
const SAVE_MS = 60_000;
const SMALL = 500;
/** Beyond this many hosts the file would be larger than it is worth. */
const LARGE = 20_000;

/** Starts a scheduler. Any number of them may answer; each follows the change feed with a cursor of its own and sees the others' claims by it. */
export async function startScheduler(parts: SchedulerParts): Promise<Scheduler> {
  const { db, bus, clock, log } = parts;
  const plugins = await loadPlugins(parts.options, { clock, timeoutMs: parts.options.pluginTimeoutMs });
  const { options, driver } = plugins;
  const rules = rulesOf(options);
  const { pciAliases: aliases } = options;
  const announcer = openAnnouncer(parts);
  const news = announcer && openDecisionNews({ db, clock, log, host: options.host, announcer });
  const memory = createHostMemory({ db: db.read, clock, pendingMs: options.pendingMs, enforced: rules.enforced });
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

  const setOut = () => {
    const { columns } = memory;
    const path = createFastPath(columns, rules);
    return { columns, size: columns.hosts.length, path, journal: keepJournal(columns, path.stateOf, rules.enforced) };
  };
  let fast = setOut();
  /** Journals of other columns, the newest first: of those this process had before, and of its former self. */
  const older = options.journalFile === null ? [] : loadJournals(options.journalFile);
  let saved = 0;
  let made = 0;
  const save = async () => {
    if (options.journalFile === null || made === saved || memory.columns.hosts.length > LARGE) return;
    const now = made;
    await saveJournals(options.journalFile, [fast.journal.kept(), ...older].slice(0, OLDER));
    saved = now;
  };
  /** The fast path and the journal of the present columns: new ones when these were replaced, or hosts came. */
  const present = () => {
    if (fast.columns !== memory.columns || fast.size !== memory.columns.hosts.length) {
      older.unshift(fast.journal.kept());
      older.length = Math.min(older.length, OLDER);
      fast = setOut();
    }
    return fast;
  };
  const askOf = (request: HostRequest, groupHosts: ReadonlyMap<string, number>, now: Micros): LiveAsk => ({
    request,
    wish: wishOf(request, groupHosts, aliases),
    now,
    options: rules.options,
    aggregates: memory.aggregates,
  });
  /** `mark`: the choice can be explained later by this seed. */
  const choose = async (
    request: HostRequest,
    own: number,
    more: { claimed?: true; mark?: true } = {},
  ): Promise<{ choice: Choice; ask: LiveAsk }> => {
    const { claimed } = more;
    for (;;) {
      const columns = claimed ? memory.claimedColumns() : memory.columns;
      const groupHosts = memory.groupHosts(request, claimed);
      const ask = askOf(request, groupHosts, clock.now());
      if (driver) return { choice: await choiceOfDriver(driver, columns, rules, ask), ask };
      const hosts = columns.hosts.slice();
      if (plugins.parts.length > 0) await askPlugins(plugins, hosts, ask);
      // Hosts that came meanwhile were not asked about: once more then.
      if (columns.hosts.length !== hosts.length || !(claimed || columns === memory.columns)) continue;
      const { path, journal } = present();
      const choice = claimed ? selectHosts(columns, rules, ask, own) : path.select(rules, ask, own);
      journal.follow();
      if (more.mark) journal.mark(own, request.serverUuid, ask.now, groupHosts, claimed ?? false);
      made++;
      return { choice, ask };
    }
  };
  const answerOf = (choice: Choice, own: number): HostAnswer => ({
    hosts: choice.hosts.map(({ host, weight }) => ({
      host: host.facts.host,
      node: host.facts.node,
      provider: host.facts.uuid,
      weight: onWire(weight),
    })),
    reasons: choice.reasons,
    failed: null,
    seed: own,
    feedPosition: memory.position(),
    configHash: rules.hash,
  });
  /** `alike`: refusals of the same moment. Where nothing changed since, the next request that is word for word the same is refused without looking again. */
  const decide = async (request: HostRequest, fresh: boolean, alike: Map<string, Refusal>): Promise<HostAnswer> => {
    memory.forget(request.serverUuid);
    seed = (seed + 1) >>> 0;
    const own = seed;
    const known = driver || plugins.parts.length > 0 || alike.size === 0 ? undefined : alike.get(wordsOf(request));
    if (known && known.columns === memory.columns && known.changes === memory.columns.changes.next) {
      present().journal.mark(own, request.serverUuid, known.ask.now, memory.groupHosts(request, known.claimed), known.claimed ?? false);
      return answerOf(known.choice, own);
    }
    try {
      let { choice, ask } = await choose(request, own, { mark: true });
      // A choice of ours may come to nothing: another host claimed, or the server refused. Nobody is refused for the sake of a mere choice.
      if (choice.hosts.length === 0 && fresh) ({ choice, ask } = await choose(request, own, { claimed: true, mark: true }));
      const answer = answerOf(choice, own);
      const chosen = choice.hosts[0];
      const { columns } = memory;
      if (chosen) memory.consume(request, chosen.host, ask.wish);
      else alike.set(wordsOf(request), { choice, ask, columns, changes: columns.changes.next, ...(fresh ? { claimed: true } : {}) });
      return answer;
    } catch (cause) {
      // One request that cannot be judged is no reason to fail those that came with it.
      log.warn({ err: cause, server: request.serverUuid }, 'a request for a host failed');
      return { ...answerOf({ hosts: [], reasons: noReasons }, own), failed: wireError(cause) };
    }
  };
  /** Decides the same again on the hosts as they were; a table that would say something else than what was decided is none. */
  const explainDecision = (asked: Asked<'explainDecision'>) => {
    const nothing = { table: null, advice: null };
    if (asked.configHash !== rules.hash) return nothing;
    const { serverUuid } = asked.request;
    let old = present().journal.rewind(asked.seed, serverUuid);
    for (const one of older) old ??= rewindKept(one, asked.seed, serverUuid, rules.enforced);
    if (!old) return nothing;
    try {
      const ask = askOf(asked.request, old.mark.groupHosts, old.mark.now);
      const { hosts, reasons } = selectHosts(old.columns, rules, ask, asked.seed);
      const counted = (list: typeof asked.filters) => JSON.stringify(list.map((one) => [one.name, one.before, one.after]));
      if (counted(reasons.filters) !== counted(asked.filters)) return nothing;
      const plainly = (list: readonly { host: string; weight: number }[]) =>
        JSON.stringify(list.map((one) => [one.host, one.weight]).sort());
      if (plainly(hosts.map(({ host, weight }) => ({ host: host.host, weight: onWire(weight) }))) !== plainly(asked.chosen)) return nothing;
      const advice = hosts.length === 0 ? advise(old.columns, rules, ask) : null;
      return { table: explainTable(old.columns, rules, ask, asked.limit), advice };
    } catch (cause) {
      log.info({ err: cause, server: asked.request.serverUuid }, 'a decision could not be made again');
      return nothing;
    }
  };
  const dryRun = async ({ request, count, limit }: Asked<'dryRun'>) => {
    await refresh();
    const answers: HostAnswer[] = [];
    let shown: { table: DecisionTable; advice: Advice | null } | undefined;
    const made: string[] = [];
    try {
      for (let at = 0; at < count; at++) {
        const one = { ...request, serverUuid: newUuid() };
        made.push(one.serverUuid);
        const { choice, ask } = await choose(one, seed);
        const [first] = choice.hosts;
        // The table is of the first server, or of the first that goes nowhere.
        if (at === 0 || !first) {
          const advice = first ? null : advise(memory.columns, rules, ask);
          shown = { table: explainTable(memory.columns, rules, ask, limit), advice };
        }
        answers.push(answerOf(choice, seed));
        if (!first) break;
        memory.consume(one, first.host, ask.wish);
      }
    } finally {
      for (const uuid of made) memory.forget(uuid);
    }
    return { answers, ...shown! };
  };
  const select = async (requests: readonly HostRequest[], fresh: boolean) => {
    const begun = clock.now();
    if (fresh || (await memory.hasOperatorNews())) await refresh();
    const answers: HostAnswer[] = [];
    const alike = new Map<string, Refusal>();
    for (const request of requests) answers.push(await decide(request, fresh, alike));
    news?.decided(requests, answers, { begun, ended: clock.now(), fresh });
    return answers;
  };

  const end = new AbortController();
  const failed = (what: string) => (cause: unknown) => log.warn({ err: cause }, what);
  const serving = await bus.serve(schedulerContract, {
    selectHosts: async ({ requests, fresh }) => ({ answers: await select(requests, fresh) }),
    explainDecision: async (asked) => explainDecision(asked),
    dryRun,
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
      SAVE_MS,
      end.signal,
      async () => {
        if (memory.columns.hosts.length <= SMALL) await save();
      },
      failed('the journal of decisions could not be written'),
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
      await news?.stop();
      await save().catch(failed('the journal of decisions could not be written'));
      await plugins.stop();
    },
  };
}
