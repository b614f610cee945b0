import type { Database, EngineKind, Query } from '../../db/engine.ts';
import { quotaDefaults } from '../../db/tables/network/quotas.ts';
import type { Clock } from '../../lib/clock.ts';
import { newNetworkRow } from './networks.ts';
import { subnetsOf } from './port-rows.ts';
import { setGateway } from './router-gateway.ts';
import { plugSubnet } from './router-interfaces.ts';
import { lockRouter } from './router-rows.ts';
import { newRouterRow } from './routers.ts';
import { insertSubnet, newSubnetRow } from './subnets.ts';

/** The network `networks: auto` finds in every project. */
export const DEFAULT_NETWORK = 'default';
export const EXTERNAL_NETWORK = 'public';
/** Between the two, so that servers on the default network can have floating addresses. */
export const DEFAULT_ROUTER = 'default-router';

/** Makes what a fresh cloud has: the shared network `default` (172.24.0.0/16, DHCP, served by QEMU's user mode too) and the external one `public`
 *  (203.0.113.0/24, no DHCP), and a router between them. Safe to repeat: a network of that name that the owner has already stays as it is. */
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
    await seedRouter(tx, db.kind, ownerProjectId, now);
  });
}

/** The router between the seeded networks, where the owner has both of them and no router of its name. */
async function seedRouter(tx: Query, kind: EngineKind, ownerProjectId: string, now: number): Promise<void> {
  const kept = await tx
    .selectFrom('net_routers')
    .select('uuid')
    .where('project_id', '=', ownerProjectId)
    .where('name', '=', DEFAULT_ROUTER)
    .executeTakeFirst();
  const named = async (name: string) =>
    tx.selectFrom('net_networks').select('uuid').where('project_id', '=', ownerProjectId).where('name', '=', name).executeTakeFirst();
  const [inside, outside] = [await named(DEFAULT_NETWORK), await named(EXTERNAL_NETWORK)];
  if (kept || !inside || !outside) return;
  const [subnet] = await subnetsOf(tx, inside.uuid);
  if (!subnet || subnet.gateway_ip === null) return;
  const held = await tx
    .selectFrom('net_addresses')
    .select('port_uuid')
    .where('subnet_uuid', '=', subnet.uuid)
    .where('address', '=', subnet.gateway_ip)
    .where('port_uuid', 'is not', null)
    .executeTakeFirst();
  if (held) return; // somebody put a router of his own there
  const context = { kind, quotas: quotaDefaults, now };
  const row = newRouterRow(ownerProjectId, { name: DEFAULT_ROUTER, description: 'From the shared network to the outside' }, now);
  await tx.insertInto('net_routers').values(row).execute();
  const router = await lockRouter(tx, row.uuid, now);
  await setGateway(tx, context, router, { networkUuid: outside.uuid, snat: true, fixedIps: undefined });
  await plugSubnet(tx, context, router, subnet);
}
