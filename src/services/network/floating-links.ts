import { sql } from 'kysely';
import type { Query } from '../../db/engine.ts';

/** Takes the floating addresses off a port, all of them or only those whose fixed address it does not `keep`. Answers how many. */
export async function unlinkPort(tx: Query, portUuid: string, now: number, keep?: readonly string[]): Promise<number> {
  const others = keep && keep.length > 0 ? sql` and fixed_address not in (${sql.join(keep)})` : sql``;
  const done = await sql`
    update net_floating_ips set router_uuid = null, fixed_port_uuid = null, fixed_address = null, revision = revision + 1, updated_at = ${now}
    where fixed_port_uuid = ${portUuid}${others}`.execute(tx);
  return Number(done.numAffectedRows ?? 0n);
}

/** A router with an interface on the subnet and its gateway on the network, if there is one.  Spec: network api-ref, "Floating IPs". */
export async function routerBetween(tx: Query, subnetUuid: string, networkUuid: string): Promise<string | undefined> {
  const found = await tx
    .selectFrom('net_addresses')
    .innerJoin('net_ports', 'net_ports.uuid', 'net_addresses.port_uuid')
    .innerJoin('net_routers', 'net_routers.uuid', 'net_ports.device_id')
    .select('net_routers.uuid')
    .where('net_addresses.subnet_uuid', '=', subnetUuid)
    .where('net_ports.device_owner', '=', ROUTER_INTERFACE)
    .where('net_routers.gateway_network_uuid', '=', networkUuid)
    .orderBy('net_routers.id')
    .limit(1)
    .executeTakeFirst();
  return found?.uuid;
}

export const ROUTER_INTERFACE = 'network:router_interface';
export const ROUTER_GATEWAY = 'network:router_gateway';
export const FLOATING_IP = 'network:floatingip';
