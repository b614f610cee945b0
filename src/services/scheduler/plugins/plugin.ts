import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../../lib/clock.ts';
import { pluginFailed } from '../../../model/errors-scheduler.ts';
import { type Ask, type Filter, no, ok } from '../filter.ts';
import type { HostView } from '../host-view.ts';
import type { Weigher } from '../weigher.ts';
import type { Wish } from '../wish.ts';
import { type PluginAnswer, type PluginAsk, type PluginFacts, plainHost, plainWish } from './messages.ts';

/** A filter, weigher or scheduler that a config names by the path of its module. It runs in a worker; `ask` must come before a filter or weigher
 *  made of it is asked about the same wish. */
export interface Plugin {
  readonly facts: PluginFacts;
  readonly path: string;
  /** For a filter or weigher: keeps what it says of each host. Throws pluginFailed when it does not answer in time; what it throws about one host
   *  counts when that host is asked about. */
  ask(hosts: readonly HostView[], ask: Ask): Promise<void>;
  /** For a scheduler: names of hosts, best first. Throws pluginFailed. */
  order(hosts: readonly HostView[], ask: Ask): Promise<readonly string[]>;
  readonly filter: Filter;
  readonly weigher: Weigher;
  stop(): Promise<void>;
}
export interface PluginParts {
  readonly clock: Clock;
  /** How long a plug-in may take for one request, and to be loaded. */
  readonly timeoutMs: number;
}
const LOAD_MS = 10_000;
const HEAP_MIB = 256;
const workerFile = new URL(`./plugin-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** Whether a word of the config names a module rather than a part by its name: a path, or a file. */
export const isModulePath = (word: string) => word.includes('/') || /\.[cm]?[jt]s$/.test(word);

/** Loads a plug-in and checks what it is. Throws an Error that names the module and what is wrong with it. */
export async function loadPlugin(path: string, { clock, timeoutMs }: PluginParts): Promise<Plugin> {
  const address = path.startsWith('.') || isAbsolute(path) || isModulePath(path) ? pathToFileURL(resolve(path)).href : path;
  const start = async (): Promise<{ worker: Worker; facts: PluginFacts }> => {
    const worker = new Worker(workerFile, { workerData: { path: address }, resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB } });
    worker.unref();
    try {
      const said = await answerOf<{ facts?: PluginFacts; refused?: string }>(worker, clock, LOAD_MS, () => true);
      if (said.facts) return { worker, facts: said.facts };
      throw new Error(said.refused ?? 'it says nothing of itself');
    } catch (cause) {
      void worker.terminate();
      throw new Error(`The scheduler plug-in ${path} cannot be used: ${messageOf(cause)}`, { cause });
    }
  };
  const first = await start();
  const { facts } = first;
  let running: Promise<Worker> | undefined = Promise.resolve(first.worker);
  let last: Promise<unknown> = Promise.resolve();
  let next = 0;

  /** One question at a time: a slow answer is that question's own. */
  const question = (hosts: readonly HostView[], ask: Ask): Promise<PluginAnswer> => {
    const work = async () => {
      try {
        running ??= start().then(({ worker }) => worker);
        const worker = await running;
        const id = next++;
        const answered = answerOf<PluginAnswer>(worker, clock, timeoutMs, (answer) => answer.id === id);
        worker.postMessage({ id, hosts: hosts.map(plainHost), wish: plainWish(ask.wish), now: ask.now } satisfies PluginAsk);
        const answer = await answered;
        if (answer.failed === undefined) return answer;
        throw pluginFailed({ plugin: facts.name, why: answer.failed });
      } catch (cause) {
        if (cause instanceof Silent || cause instanceof Gone) {
          // It may be in an endless loop: only its end helps. The next request gets a new one.
          const gone = running;
          running = undefined;
          void gone?.then((worker) => worker.terminate()).catch(() => undefined);
          throw pluginFailed({ plugin: facts.name, why: cause.message }, { cause });
        }
        if (running) await running.catch(() => (running = undefined));
        throw cause;
      }
    };
    const done = last.then(work, work);
    last = done.catch(() => undefined);
    return done;
  };

  const kept = new WeakMap<Wish, ReadonlyMap<string, NonNullable<PluginAnswer['each']>[number]>>();
  const said = (host: HostView, { wish }: Ask) => {
    const one = kept.get(wish)?.get(host.host);
    if (!one) throw new Error('it was not asked about this host');
    if ('failed' in one) throw pluginFailed({ plugin: facts.name, why: one.failed });
    return one.said;
  };
  return {
    facts,
    path,
    async ask(hosts, ask) {
      const { each = [] } = await question(hosts, ask);
      kept.set(ask.wish, new Map(hosts.flatMap((host, at) => (each[at] ? [[host.host, each[at]]] : []))));
    },
    async order(hosts, ask) {
      return (await question(hosts, ask)).names ?? [];
    },
    filter: {
      name: facts.name,
      outside: true,
      ...(facts.oncePerRequest ? { oncePerRequest: true as const } : {}),
      ...(facts.runOnRebuild ? { runOnRebuild: true as const } : {}),
      judge(host, ask) {
        const verdict = said(host, ask);
        return verdict === true ? ok : no(String(verdict));
      },
    },
    weigher: {
      name: facts.name,
      option: `${facts.name}_weight_multiplier`,
      multiplier: facts.multiplier,
      ...(facts.negated ? { negated: true as const } : {}),
      weigh: (host, ask) => Number(said(host, ask)),
    },
    async stop() {
      await (await running?.catch(() => undefined))?.terminate();
    },
  };
}

class Silent extends Error {}
class Gone extends Error {}
const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));

/** The first message that is meant. Throws Silent after the deadline, Gone when the worker ended. */
function answerOf<T>(worker: Worker, clock: Clock, ms: number, meant: (answer: T) => boolean): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const finish = (end: () => void) => {
      cancel();
      worker.off('message', heard).off('error', failed).off('exit', ended);
      end();
    };
    const heard = (answer: T) => meant(answer) && finish(() => resolve(answer));
    const failed = (cause: unknown) => finish(() => reject(new Gone(messageOf(cause), { cause })));
    const ended = () => finish(() => reject(new Gone('it ended its process')));
    const cancel = clock.after(ms, () => finish(() => reject(new Silent(`it did not answer within ${ms} ms`))));
    worker.on('message', heard).on('error', failed).on('exit', ended);
  });
}
