import type { Database } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { seedFlavors } from '../../services/compute-api/flavor-seeds.ts';
import { seedIdentity } from '../../services/identity/seed.ts';
import { seedNetwork } from '../../services/network/seed-network.ts';
import type { Secrets } from '../secrets.ts';

/** Puts in what every cloud begins with: users, projects, roles, flavors, networks. Safe to repeat, also after it died half way. */
export async function seedCloud(options: {
  db: Database;
  clock: Clock;
  log: Log;
  secrets: Secrets;
  region: string;
}): Promise<{ adminProjectId: string }> {
  const { db, clock, log, secrets } = options;
  const ids = await seedIdentity({
    db,
    clock,
    log,
    adminPassword: secrets.adminPassword,
    demoPassword: secrets.demoPassword,
    servicePassword: secrets.servicePassword,
    regionName: options.region,
  });
  await seedFlavors(db, clock);
  await seedNetwork({ db, clock, ownerProjectId: ids.projects.admin });
  return { adminProjectId: ids.projects.admin };
}
