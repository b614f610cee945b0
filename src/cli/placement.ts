import { startPlacement } from '../cloud/placement.ts';
import { systemClock } from '../lib/clock.ts';
import { aborted, interrupted } from './interrupted.ts';

export interface PlacementFlags {
  readonly port: number;
  readonly dataDir: string;
  readonly listen?: string;
  readonly auth?: 'noauth2' | 'keystone';
  readonly policy?: string;
  readonly config?: string;
}

/** `kilonova placement`: the placement API alone, until it is told to stop. */
export async function placementCommand(flags: PlacementFlags): Promise<number> {
  const signal = interrupted();
  const alone = await startPlacement({
    ...flags,
    clock: systemClock,
    say: (line) => process.stdout.write(`kilonova: ${line}\n`),
  });
  await aborted(signal).catch(() => undefined);
  await alone.stop();
  return 0;
}
