import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { retry } from '../lib/retry.ts';
import { CloudError } from '../model/errors.ts';
import type { Neighbour } from './neighbour.ts';

/** One of Nova's external events.  Spec: compute api-ref "Run events". */
export interface ComputeEvent {
  readonly name: string;
  readonly server_uuid: string;
  readonly tag: string;
}
const ATTEMPTS = 30;
const AT_ONCE = 200;

/** Tells compute of servers' ports, as Neutron does: at once, several together, and again while it does not answer (for about a minute). What is told
 *  never holds up who tells it. `close` waits for nothing. */
export function computeEvents(parts: { neighbour: Neighbour; clock: Clock; log: Log }) {
  const { neighbour, clock, log } = parts;
  const end = new AbortController();
  let waiting: ComputeEvent[] = [];
  let sending = false;
  const send = async () => {
    while (waiting.length > 0 && !end.signal.aborted) {
      const events = waiting.slice(0, AT_ONCE);
      waiting = waiting.slice(AT_ONCE);
      const body = { events: events.map((event) => ({ ...event, status: 'completed' })) };
      // A server that is gone needs no word (207); only a compute service that is away is asked again.
      await retry(clock, () => neighbour.ask('POST', '/os-server-external-events', { body, expect: [200, 207, 404] }), {
        attempts: ATTEMPTS,
        firstMs: 100,
        maxMs: 2000,
        signal: end.signal,
        again: (cause) => cause instanceof CloudError && cause.kind === 'unavailable',
      }).catch((cause) => {
        if (!end.signal.aborted) log.warn({ err: cause, events: events.length }, 'compute could not be told of changed ports');
      });
    }
  };
  return {
    tell(events: readonly ComputeEvent[]): void {
      waiting.push(...events);
      if (sending) return;
      sending = true;
      void Promise.resolve()
        .then(send)
        .finally(() => {
          sending = false;
        });
    },
    close: () => end.abort(),
  };
}
