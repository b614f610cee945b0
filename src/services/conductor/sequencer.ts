import { forgetChanges, numberChanges, SEQUENCER } from '../../db/tables/compute/changes.ts';
import { ensureLease, giveLeaseBack, setLeaseValue, takeLease } from '../../db/tables/compute/leases.ts';
import { createDoze } from '../../lib/doze.ts';
import { CHANGES_RING } from '../../model/jobs.ts';
import type { ConductorParts } from './parts.ts';

const LEASE_MS = 10_000;
/** Pause between a word of a change and its numbering: changes that come together are numbered together. */
const GATHER_MS = 20;
const POLL_MS = 250;

/** Numbers committed lines of the change feed, one process at a time, and rings. */
export async function startSequencer(parts: ConductorParts): Promise<{ wake(): void; stop(): Promise<void> }> {
  const { db, bus, clock, log, options } = parts;
  const end = new AbortController();
  await ensureLease(db, SEQUENCER);
  const doze = createDoze(clock, end.signal);
  let swept = 0;

  /** Numbers what there is; how many numbers were given, or nothing when another process holds the role. */
  const number = () =>
    db.transaction(async (tx) => {
      const now = clock.now();
      const last = await takeLease(tx, { name: SEQUENCER, owner: options.name, now, until: now + LEASE_MS * 1000 });
      if (last === undefined) return 0;
      const next = await numberChanges(tx, last);
      if (next > last) await setLeaseValue(tx, SEQUENCER, options.name, next);
      return next - last;
    });
  const anything = async () =>
    (await db.read.selectFrom('changes').select('id').where('seq', 'is', null).limit(1).executeTakeFirst()) !== undefined;
  const loop = async () => {
    while (!end.signal.aborted) {
      try {
        if (await anything()) while ((await number()) > 0) bus.ring(CHANGES_RING);
        if (clock.now() - swept > 60_000_000) {
          swept = clock.now();
          await db.transaction((tx) => forgetChanges(tx, clock.now() - options.keepChanges * 1_000_000));
        }
      } catch (cause) {
        log.warn({ err: cause }, 'changes could not be numbered');
      }
      await doze.sleep(POLL_MS, GATHER_MS);
    }
  };
  const running = loop();
  return {
    wake: doze.wake,
    async stop() {
      end.abort();
      await running;
      await db.transaction((tx) => giveLeaseBack(tx, SEQUENCER, options.name)).catch(() => undefined);
    },
  };
}
