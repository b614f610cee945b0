import { Readable } from 'node:stream';
import type { ImageFetch, ImageRef, MoveProgress } from '../../hypervisors/driver.ts';
import type { Clock } from '../../lib/clock.ts';
import type { AgentParts } from './parts.ts';

const EVERY_US = 1_000_000;

/** Tells how far a copy is, at most once a second. */
export function byteProgress(clock: Clock, tell: (bytes: MoveProgress) => void): (done: number, total: number) => void {
  let last = clock.now();
  return (done, total) => {
    const now = clock.now();
    if (now - last < EVERY_US) return;
    last = now;
    const memory = { memoryTotal: 0, memoryProcessed: 0, memoryRemaining: 0 };
    tell({ ...memory, diskTotal: total, diskProcessed: done, diskRemaining: Math.max(0, total - done) });
  };
}

/** The same bytes; `told` hears how many there were so far. Whoever stops reading ends the source too. */
export async function* countBytes(source: Readable, told: (bytes: number) => void): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    // a byte stream, by the port
    bytes += chunk.length;
    told(bytes);
    yield chunk;
  }
}

/** Brings an image into the host's cache and tells how far that is. Throws as `fetchImage` and the image service do. */
export function fetchTold(
  { driver, image, clock }: Pick<AgentParts, 'driver' | 'image' | 'clock'>,
  ref: ImageRef,
  signal: AbortSignal,
  tell: (bytes: MoveProgress) => void,
): Promise<ImageFetch> {
  const open = async () => {
    const told = byteProgress(clock, tell);
    return Readable.from(
      countBytes(await image.download(ref.id), (bytes) => told(bytes, ref.sizeBytes)),
      { objectMode: false },
    );
  };
  return driver.fetchImage(ref, open, signal);
}
