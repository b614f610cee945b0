import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Clock, every } from '../lib/clock.ts';

const LOOK_MS = 5000;
/** Busy for less of the time than this is a rest. */
const RESTING = 0.1;
const WORTH_BYTES = 32 * 1024 * 1024;

/** Gives memory back to the machine when there is little to do: V8 grows its heap under load and keeps it, so a cloud that once made ten thousand servers
 *  would hold three times what they need. Measured with 10,000 servers on the fake hypervisor: see `npm run bench -- api`. Resolves when the signal aborts. */
export async function keepMemorySmall(clock: Clock, signal: AbortSignal): Promise<void> {
  let collect: ((how: object) => Promise<void>) | undefined; // a context costs milliseconds that a start has not
  let before = performance.eventLoopUtilization();
  let kept = process.memoryUsage.rss();
  await every(
    clock,
    LOOK_MS,
    signal,
    async () => {
      const now = performance.eventLoopUtilization();
      const busy = performance.eventLoopUtilization(now, before).utilization;
      before = now;
      if (busy > RESTING || process.memoryUsage.rss() < kept + WORTH_BYTES) return;
      if (!collect) {
        setFlagsFromString('--expose-gc');
        collect = runInNewContext('gc') as (how: object) => Promise<void>;
      }
      await collect({ type: 'major', execution: 'async', flavor: 'last-resort' });
      kept = process.memoryUsage.rss();
    },
    () => undefined, // the next look tries again
  );
}
