// Runs one plug-in of the scheduler in a thread of its own: what it throws, or that it never ends, is then nobody's trouble but its request's.
import { parentPort, workerData } from 'node:worker_threads';
import type { PluginAnswer, PluginAsk, PluginFacts } from './messages.ts';

// biome-ignore lint/suspicious/noExplicitAny: a module somebody wrote; what it says is checked below
type Foreign = any;
const why = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));
const kinds = { filter: 'judge', weigher: 'weigh', scheduler: 'select' } as const;

const port = parentPort;
if (!port) throw new Error('a plug-in runs in a worker only');
let plugin: Foreign;
try {
  const module: Foreign = await import(workerData.path);
  plugin = module.default;
  port.postMessage({ facts: factsOf(plugin) } satisfies { facts: PluginFacts });
} catch (cause) {
  port.postMessage({ refused: why(cause) });
}

/** What the module says it is. Throws a sentence for what it lacks. */
function factsOf(one: Foreign): PluginFacts {
  if (one === null || typeof one !== 'object') throw new Error('its default export is no object');
  const method = kinds[one.kind as keyof typeof kinds];
  if (!method) throw new Error(`its kind is ${JSON.stringify(one.kind)}; it may be filter, weigher or scheduler`);
  if (typeof one.name !== 'string' || !/^\w+$/.test(one.name))
    throw new Error(`its name is ${JSON.stringify(one.name)}; it must be one word`);
  if (typeof one[method] !== 'function') throw new Error(`a ${one.kind} must have a function ${method}`);
  if (one.multiplier !== undefined && !Number.isFinite(one.multiplier)) throw new Error('its multiplier is no number');
  for (const flag of ['oncePerRequest', 'runOnRebuild', 'negated'])
    if (one[flag] !== undefined && typeof one[flag] !== 'boolean') throw new Error(`its ${flag} is neither true nor false`);
  return {
    kind: one.kind,
    name: one.name,
    multiplier: one.multiplier ?? 1,
    oncePerRequest: one.oncePerRequest === true,
    runOnRebuild: one.runOnRebuild === true,
    negated: one.negated === true,
  };
}

port.on('message', async ({ id, hosts, wish, now }: PluginAsk) => {
  try {
    if (plugin.kind === 'scheduler') {
      const names = await plugin.select(hosts, wish, { now });
      if (!Array.isArray(names) || names.some((name) => typeof name !== 'string')) throw new Error('it answered no list of host names');
      return port.postMessage({ id, names } satisfies PluginAnswer);
    }
    const each: NonNullable<PluginAnswer['each']> = [];
    for (const host of hosts) {
      try {
        const said = await (plugin.kind === 'filter' ? plugin.judge(host, wish, { now }) : plugin.weigh(host, wish, { now }));
        each.push({ said: plugin.kind === 'filter' ? verdictOf(said) : numberOf(said) });
      } catch (cause) {
        each.push({ failed: why(cause) });
      }
    }
    port.postMessage({ id, each } satisfies PluginAnswer);
  } catch (cause) {
    port.postMessage({ id, failed: why(cause) } satisfies PluginAnswer);
  }
});

/** true; or false, or a text that says why not. */
function verdictOf(said: unknown): true | string {
  if (said === true) return true;
  if (said === false) return 'it says no';
  if (typeof said === 'string' && said !== '') return said;
  throw new Error(`it answered ${JSON.stringify(said)}; a filter answers true, or false, or a text that says why not`);
}
function numberOf(said: unknown): number {
  if (typeof said !== 'number' || Number.isNaN(said)) throw new Error(`it answered ${JSON.stringify(said)}; a weigher answers a number`);
  return said;
}
