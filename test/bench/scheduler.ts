import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createFastPath } from '../../src/services/scheduler/fast/fast-path.ts';
import { type Journal, keepJournal } from '../../src/services/scheduler/fast/journal.ts';
import type { LiveAsk } from '../../src/services/scheduler/filter.ts';
import type { Host } from '../../src/services/scheduler/live-host.ts';
import type { Rules } from '../../src/services/scheduler/options.ts';
import { type Choice, selectHosts } from '../../src/services/scheduler/select.ts';
import { benchClaims } from './claims.ts';
import { figure } from './figure.ts';
import { type BenchCloud, consume, filterLists, ownCloud, rulesWith, sharedCloud } from './scheduler-cloud.ts';

/** First choices of the real code on the shared inputs: the first 16 hex digits of the sha256 of the first three names. */
const REAL: Readonly<Record<number, string>> = { 1000: '97dc53b98f143e4c', 10000: 'c81cb51ee1745e76' };
const SECONDS = 3;

type Select = (ask: LiveAsk, seed: number) => Choice;
const fastOn = ({ columns }: BenchCloud, rules: Rules): Select => {
  const path = createFastPath(columns, rules);
  return (ask, seed) => path.select(rules, ask, seed);
};
const plainOn =
  ({ columns }: BenchCloud, rules: Rules): Select =>
  (ask, seed) =>
    selectHosts(columns, rules, ask, seed);

/** Decisions of the scheduler alone: one thread, the chosen host consumed after each. */
export async function benchScheduler(): Promise<void> {
  for (const hosts of [1000, 10_000]) for (const name of ['default5', 'classic9'] as const) sameAsReal(hosts, name);
  for (const hosts of [100, 1000, 10_000, 100_000]) for (const name of ['default5', 'classic9'] as const) decisions(hosts, name);
  plainDecisions();
  memoryPerHost();
  await benchClaims();
}

/** The choices on the shared inputs, held against the real code's; and all of them against the plain loop's. */
function sameAsReal(hosts: number, name: 'default5' | 'classic9'): void {
  const rules = rulesWith(filterLists[name]);
  const chosen = (on: (cloud: BenchCloud, rules: Rules) => Select): string[] | null => {
    const cloud = sharedCloud(hosts);
    if (!cloud) return null;
    const select = on(cloud, rules);
    return cloud.asks.map((ask, at) => {
      const [first] = select(ask, at).hosts;
      if (!first) return 'none';
      consume(cloud.columns, first.host, ask, 1);
      return first.host.host;
    });
  };
  const [fast, plain] = [chosen(fastOn), chosen(plainOn)];
  if (!fast || !plain) {
    console.error('# ../shared/scheduler-vectors/bench is not there: own inputs only, not held against the real scheduler');
    return;
  }
  const hash = (names: readonly string[]) => createHash('sha256').update(names.join('\n')).digest('hex').slice(0, 16);
  const [first, all] = [hash(fast.slice(0, 3)), hash(fast)];
  const conditions = {
    hosts,
    filters: name,
    requests: fast.length,
    inputs: 'shared',
    first3: first,
    all,
    real: REAL[hosts],
    plain: hash(plain),
  };
  figure('scheduler.same_choices', first === REAL[hosts] && all === hash(plain) ? 1 : 0, 'bool', conditions);
  if (first !== REAL[hosts]) throw new Error(`the first choices on ${hosts} hosts are not the real scheduler's: ${fast.slice(0, 3)}`);
  if (all !== hash(plain)) throw new Error(`the fast path and the plain loop choose differently on ${hosts} hosts`);
}

/** With and without explanations by turns on one cloud, so that both meet the same fillings. */
function decisions(hosts: number, name: 'default5' | 'classic9'): void {
  const cloud = ownCloud(hosts);
  const rules = rulesWith(filterLists[name]);
  const path = createFastPath(cloud.columns, rules);
  const first = cloud.asks[0]!;
  path.select(rules, first, 0);
  const run = runner(cloud, (ask, seed) => path.select(rules, ask, seed), keepJournal(cloud.columns, path.stateOf));
  const [off, on] = run([false, true], SECONDS);
  const common = {
    hosts,
    filters: name,
    weighers: 'all defaults',
    consumption: 'after each; the oldest leave when 2 a host have come',
    kindsOfRequests: 24,
    threads: 1,
  };
  for (const [explain, took] of [
    [false, off!],
    [true, on!],
  ] as const)
    figure('scheduler.decisions', took.done / took.seconds, '1/s', { ...common, explain, decisions: took.done, refused: took.refused });
  const cost = (on!.seconds / on!.done / (off!.seconds / off!.done) - 1) * 100;
  figure('scheduler.explain_cost', cost, '%', {
    ...common,
    kept: 'counts per filter in both; a journal of hosts from which tables are made again',
  });
}

function plainDecisions(): void {
  for (const hosts of [1000, 10_000]) {
    const cloud = ownCloud(hosts);
    const [took] = runner(cloud, plainOn(cloud, rulesWith(filterLists.default5)), null, 10)([false], 1);
    figure('scheduler.plain_decisions', took!.done / took!.seconds, '1/s', {
      hosts,
      filters: 'default5',
      threads: 1,
      decisions: took!.done,
    });
  }
}

/** Decides in turn, in slices: one without and one with the journal kept, and so on until each had its seconds. */
function runner({ columns, asks }: BenchCloud, select: Select, journal: Journal | null, warm = asks.length) {
  const standing: { host: Host; ask: LiveAsk }[] = [];
  const most = columns.hosts.length * 2;
  let [count, oldest] = [0, 0];
  const one = (explain: boolean): boolean => {
    const ask = asks[count % asks.length]!;
    const choice = select(ask, count++);
    if (explain && journal) {
      journal.follow();
      journal.mark(count, ask.request.serverUuid, ask.now, nobody, false);
    }
    const [first] = choice.hosts;
    if (!first) return false;
    consume(columns, first.host, ask, 1);
    standing.push({ host: first.host, ask });
    if (standing.length - oldest > most) {
      const gone = standing[oldest++]!;
      consume(columns, gone.host, gone.ask, -1);
    }
    return true;
  };
  for (let at = 0; at < warm; at++) one(at % 2 === 0); // every kind of request has come, and the code is warm
  return (kinds: readonly boolean[], seconds: number) => {
    const took = kinds.map(() => ({ done: 0, refused: 0, seconds: 0 }));
    while (took.some((each) => each.seconds < seconds))
      for (const [at, explain] of kinds.entries()) {
        const each = took[at]!;
        if (explain) journal?.follow(); // lines of the slice without it are not its own
        const from = performance.now();
        do {
          if (!one(explain)) each.refused++;
          each.done++;
        } while (performance.now() - from < SLICE);
        each.seconds += (performance.now() - from) / 1000;
      }
    return took;
  };
}
const nobody: ReadonlyMap<string, number> = new Map();
/** Milliseconds. */
const SLICE = 20;
function memoryPerHost(): void {
  const hosts = 100_000;
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc'); // only contexts made after the flag have it
  const bytes = () => {
    collect();
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = bytes();
  const cloud = ownCloud(hosts);
  const rules = rulesWith(filterLists.classic9);
  const path = createFastPath(cloud.columns, rules);
  for (const [at, ask] of cloud.asks.entries()) path.select(rules, ask, at);
  const journal = keepJournal(cloud.columns, path.stateOf);
  figure('scheduler.memory_per_host', (bytes() - before) / hosts, 'B', { hosts, filters: 'classic9', kindsOfRequests: 24, servers: 0 });
  journal.follow(); // they live until here
  path.select(rules, cloud.asks[0]!, 0);
}
