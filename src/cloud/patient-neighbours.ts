import type { Clock } from '../lib/clock.ts';
import { retry } from '../lib/retry.ts';
import { CloudError } from '../model/errors.ts';
import type { Neighbours } from './neighbours.ts';

const PATIENCE_MS = 60_000;

/** The same neighbours, asked again for a minute while they do not answer: an API process that is started anew must not cost a build its host. What waits
 *  here may all be asked twice. Ends its waiting when the signal aborts. */
export function patientNeighbours(neighbours: Neighbours, clock: Clock, signal: AbortSignal): Neighbours {
  const patient =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> => {
      const until = clock.now() + PATIENCE_MS * 1000;
      return retry(clock, () => work(...args), {
        attempts: Number.POSITIVE_INFINITY,
        firstMs: 100,
        maxMs: 2000,
        signal,
        again: (cause) => cause instanceof CloudError && cause.kind === 'unavailable' && clock.now() < until,
      });
    };
  const { images, networks } = neighbours;
  return {
    ...neighbours,
    images: { ...images, show: patient(images.show), download: patient(images.download) },
    networks: { ...networks, allocate: patient(networks.allocate), release: patient(networks.release) },
  };
}
