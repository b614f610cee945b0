import type { Database } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import { newNetworkRow } from './networks.ts';
import { insertSubnet, newSubnetRow } from './subnets.ts';

/** The network `networks: auto` finds in every project. */
export const DEFAULT_NETWORK = 'default';
export const EXTERNAL_NETWORK = 'public';

/** Makes what a fresh cloud has: the shared network `default` (172.24.0.0/16, DHCP, served by QEMU's user mode too) and the external one `public`
 *  (203.0.113.0/24, no DHCP). Safe to repeat: a network of that name that the owner has already stays as it is. */
export async function seedNetwork(options: { db: Database; clock: Clock; ownerProjectId: string }): Promise<void> {
  const { db, clock, ownerProjectId } = options;
  const now = clock.now();
  const seeds = [
    {
      network: newNetworkRow(ownerProjectId, { name: DEFAULT_NETWORK, shared: true, description: 'Shared by every project' }, now),
      subnet: { name: 'default-subnet', cidr: '172.24.0.0/16', ip_version: 4 },
    },
    {
      network: newNetworkRow(ownerProjectId, { name: EXTERNAL_NETWORK, 'router:external': true, description: 'The outside' }, now),
      subnet: { name: 'public-subnet', cidr: '203.0.113.0/24', ip_version: 4, enable_dhcp: false },
    },
  ];
  await db.transaction(async (tx) => {
    for (const { network, subnet } of seeds) {
      const kept = await tx
        .selectFrom('net_networks')
        .select('uuid')
        .where('project_id', '=', ownerProjectId)
        .where('name', '=', network.name)
        .executeTakeFirst();
      if (kept) continue;
      await tx.insertInto('net_networks').values(network).execute();
      await insertSubnet(tx, newSubnetRow(ownerProjectId, network.uuid, subnet, now));
    }
  });
}
