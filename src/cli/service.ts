import { type PartName, startPart } from '../cloud/one-service.ts';
import { systemClock } from '../lib/clock.ts';
import { aborted, interrupted } from './interrupted.ts';

const STOP_MS = 10_000;
/** One that still waits for others has nothing in hand. */
const LEAVE_MS = 1000;

/** `kilonova api|conductor|scheduler|agent|metadata`: one part, until it is told to stop; also while it still waits for others. */
export async function serviceCommand(name: PartName, flags: { config: string; dataDir?: string; port?: number }): Promise<number> {
  const signal = interrupted();
  const part = startPart(name, {
    config: flags.config,
    dataDir: flags.dataDir,
    port: flags.port,
    clock: systemClock,
    say: (line) => process.stdout.write(`kilonova: ${line}\n`),
    signal,
  });
  let ready = false;
  let status = 1;
  try {
    await Promise.race([part.ready.then(() => (ready = true)), aborted(signal)]);
    await aborted(signal);
    status = 0;
  } finally {
    // What is not done by then is in the job table and the journals.
    systemClock.after(ready ? STOP_MS : LEAVE_MS, () => process.exit(status));
    await part.stop();
  }
  return 0;
}
