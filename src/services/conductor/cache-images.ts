import type { Announcer } from '../../bus/announcer.ts';
import { computeAgentContract } from '../../bus/contracts/compute-agent.ts';
import { findAggregate } from '../../db/tables/compute/aggregates.ts';
import { findHost, isUp } from '../../db/tables/compute/hosts.ts';
import { aggregatePayload, type Notice, notice } from '../../model/notices.ts';
import { aggregateCachePayload } from '../../model/notices-of-hosts.ts';
import type { ConductorParts } from './parts.ts';

/** Has the hosts of an aggregate fetch images, so many at once, and tells how it began, how it went on each, and that it has ended. Hosts that are down are
 *  not waited for: all of it failed there. What was begun ends with this process.  Spec: microversion 2.81, notification guide aggregate.cache_images. */
export async function cacheAggregateImages(
  parts: ConductorParts,
  announcer: Announcer | undefined,
  { aggregateId, imageIds }: { readonly aggregateId: number; readonly imageIds: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  const { db, clock, log, options } = parts;
  const aggregate = await findAggregate(db.read, aggregateId);
  if (!aggregate) return; // deleted meanwhile
  const { host: apiHost } = options;
  const tell = (said: Notice) =>
    announcer?.tell(said, clock.now()).catch((cause: unknown) => log.warn({ err: cause }, 'nobody could be told how images are cached'));
  await tell(notice(`nova-api:${apiHost}`, 'aggregate.cache_images.start', aggregatePayload(aggregate)));
  const waiting = [...aggregate.hosts];
  const total = waiting.length;
  let index = 0;
  const worker = async () => {
    for (let host = waiting.shift(); host !== undefined && !signal.aborted; host = waiting.shift()) {
      const went = await onHost(parts, host, imageIds);
      index++;
      const progress = aggregateCachePayload(aggregate, { host, ...went, index, total });
      await tell(notice(`nova-conductor:${apiHost}`, 'aggregate.cache_images.progress', progress));
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, options.precacheHosts) }, worker));
  if (!signal.aborted) await tell(notice(`nova-api:${apiHost}`, 'aggregate.cache_images.end', aggregatePayload(aggregate)));
}

async function onHost({ db, bus, clock, log, options }: ConductorParts, host: string, imageIds: readonly string[]) {
  const none = { cached: [], failed: imageIds };
  try {
    const known = await findHost(db.read, { host });
    if (!known || !isUp(known, clock.now(), options.serviceDownTime)) return none;
    return await bus.ask(computeAgentContract, 'cacheImages', { imageIds: [...imageIds] }, { host, timeoutMs: options.precacheMs });
  } catch (cause) {
    log.warn({ err: cause, host }, 'a host did not cache images');
    return none;
  }
}
