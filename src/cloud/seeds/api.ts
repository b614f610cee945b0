import type { Database } from '../../db/engine.ts';
import { ensureLease, giveLeaseBack, takeLease } from '../../db/tables/compute/leases.ts';
import type { Clock } from '../../lib/clock.ts';
import { newSecret } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { seedFlavors } from '../../services/compute-api/flavor-seeds.ts';
import { knowsPassword } from '../../services/identity/seed.ts';
import { recoverImages } from '../../services/image/recover.ts';
import { openImageStore } from '../../services/image/store.ts';
import { imageDir } from '../api.ts';
import type { Settings } from '../options.ts';
import type { Secrets } from '../secrets.ts';
import { seedCloud } from './cloud.ts';
import { seedPlaceholder } from './images.ts';

const LEASE = 'seed';
const LEASE_MS = 15_000;

/** What an API process puts in before it serves, and puts right of what its former self left. Several that start at once do it one after the other.
 *  `ownPasswords`: those in our data dir are the cloud's; otherwise another process made the cloud. */
export async function seedApi(options: {
  db: Database;
  clock: Clock;
  log: Log;
  say: (line: string) => void;
  secrets: Secrets;
  settings: Settings;
  dataDir: string;
  signal: AbortSignal;
}): Promise<{ ownPasswords: boolean }> {
  const { db, clock, log, say, secrets, settings, dataDir, signal } = options;
  const builtin = new Set(settings.builtinServices);
  const owner = newSecret(6);
  await ensureLease(db, LEASE);
  const mine = () => db.transaction((tx) => takeLease(tx, { name: LEASE, owner, now: clock.now(), until: clock.now() + LEASE_MS * 1000 }));
  while ((await mine()) === undefined) {
    signal.throwIfAborted();
    await clock.sleep(100, signal);
  }
  try {
    if (builtin.has('image') && settings.apiWorkers > 1)
      await recoverImages({ db, clock, log, store: await openImageStore(imageDir(dataDir)) });
    if (!builtin.has('identity')) {
      await seedFlavors(db, clock);
      return { ownPasswords: false };
    }
    const ids = await seedCloud({ db, clock, log, secrets, region: settings.region });
    const image = { db, clock, log, storeDir: imageDir(dataDir), ownerProjectId: ids.adminProjectId };
    if (builtin.has('image')) await seedPlaceholder(image, settings.computeDriver === 'fake' ? 'fake' : 'qemu');
    const ownPasswords = await knowsPassword(db, 'admin', secrets.adminPassword);
    if (!ownPasswords)
      say(
        "admin's password is not the one in this data dir (another process made this cloud, or it was changed), so no openrc is written here",
      );
    return { ownPasswords };
  } finally {
    await db.transaction((tx) => giveLeaseBack(tx, LEASE, owner));
  }
}
