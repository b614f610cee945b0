import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

const STOP_MS = 8000;
const AGAIN_MS = 1000;

/** Forks this program so many times; the copies share their listening port. One that dies later is replaced. Resolves when all listen, with the port.
 *  Throws when one ends before it listens: it has said why. `stop` ends them all. */
export async function forkWorkers(options: { count: number; clock: Clock; log: Log }): Promise<{ port: number; stop(): Promise<void> }> {
  const { count, clock, log } = options;
  // Workers accept by themselves: a connection on its way from the parent to one that is killed just then would hang for ever.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  let ending = false;
  const alive = () => Object.values(cluster.workers ?? {}).filter((worker): worker is Worker => worker !== undefined && !worker.isDead());
  const stop = async () => {
    ending = true;
    const all = alive();
    const gone = Promise.all(all.map((worker) => once(worker, 'exit')));
    for (const worker of all) worker.process.kill('SIGTERM');
    const end = new AbortController();
    await Promise.race([gone, clock.sleep(STOP_MS, end.signal)]);
    end.abort();
    for (const worker of alive()) worker.process.kill('SIGKILL');
  };
  let port = 0;
  let ready = false;
  const listening = new Set<number>();
  await new Promise<void>((resolve, reject) => {
    cluster.on('listening', (worker, address) => {
      port = address.port;
      listening.add(worker.id);
      if (listening.size === count) resolve();
    });
    cluster.on('exit', (worker) => {
      if (ending) return;
      if (!ready) return reject(new Error('a worker could not start; its reason stands above'));
      log.warn({ pid: worker.process.pid }, 'a worker ended; another takes its place');
      clock.after(AGAIN_MS, () => {
        if (!ending) cluster.fork();
      });
    });
    for (let at = 0; at < count; at++) cluster.fork();
  }).catch(async (cause) => {
    await stop();
    throw cause;
  });
  ready = true;
  return { port, stop };
}
