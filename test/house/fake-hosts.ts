import { join } from 'node:path';
import { openBus } from '../../src/bus/open.ts';
import { startHost } from '../../src/cloud/agents.ts';
import { readConfigFile } from '../../src/cloud/config.ts';
import { openNeighbours } from '../../src/cloud/neighbours.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import type { PartsHouse } from './parts.ts';

/** Agents of so many fake hosts of a cloud in parts, all in this process: `host00`, `host01` ... */
export async function startFakeHosts(
  house: PartsHouse,
  count: number,
): Promise<{ readonly names: readonly string[]; stop(): Promise<void> }> {
  const { settings, given } = readConfigFile(join(house.dir, 'nova.conf'));
  const bus = await openBus({ url: settings.transportUrl, clock: systemClock, log: silentLog });
  const neighbours = openNeighbours({
    clock: systemClock,
    identityUrl: `${house.base}/identity/v3`,
    imageUrl: `${house.base}/image`,
    networkUrl: `${house.base}/network`,
    volumeUrl: null,
    user: settings.authUser,
    password: settings.authPassword ?? '',
    project: settings.authProject,
  });
  const names = Array.from({ length: count }, (_, at) => `host${String(at).padStart(2, '0')}`);
  const start = (host: string) =>
    startHost({
      kind: 'fake',
      host,
      stateDir: join(house.dir, host),
      settings,
      given,
      bus,
      clock: systemClock,
      log: silentLog,
      neighbours,
      metadata: { url: `http://127.0.0.1:${settings.metadataPort}`, secret: 'shared-secret' },
    });
  const agents = await Promise.all(names.map(start));
  return {
    names,
    async stop() {
      await Promise.all(agents.map((agent) => agent.stop()));
      await neighbours.close();
      await bus.close();
    },
  };
}
