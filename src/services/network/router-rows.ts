import type { Selectable } from 'kysely';
import type { Query } from '../../db/engine.ts';
import type { NetRoutersTable } from '../../db/tables/network/tables.ts';
import type { Call } from '../../http/call.ts';
import { badNetworkInput } from '../../model/errors-network.ts';
import { routerNotFound } from '../../model/errors-routers.ts';
import { inCidr, parseCidr, parseIp } from '../../model/ip-address.ts';
import { commonView, mustSee, pieces, touch } from './access.ts';
import { ROUTER_INTERFACE } from './floating-links.ts';
import type { NetworkParts } from './parts.ts';
import type { FixedIp, PortRow } from './port-rows.ts';
import type { SubnetRow } from './subnets.ts';

export type RouterRow = Selectable<NetRoutersTable>;
export interface ExtraRoute {
  readonly destination: string;
  readonly nexthop: string;
}

export const findRouter = (db: Query, id: string): Promise<RouterRow | undefined> =>
  db.selectFrom('net_routers').selectAll().where('uuid', '=', id.toLowerCase()).executeTakeFirst();

export async function visibleRouter(parts: NetworkParts, call: Call, id: string): Promise<RouterRow> {
  const row = await findRouter(parts.db.read, id);
  const missing = () => routerNotFound({ id: id.slice(0, 100) });
  if (!row) throw missing();
  mustSee(call, 'get_router', { project_id: row.project_id }, missing);
  return row;
}

/** Locks the router's row until the end of the transaction, with its revision raised, and reads it. Throws routerNotFound. */
export async function lockRouter(tx: Query, uuid: string, now: number): Promise<RouterRow> {
  const row = (await touch(tx, 'net_routers', uuid, now)) ? await findRouter(tx, uuid) : undefined;
  if (!row) throw routerNotFound({ id: uuid });
  return row;
}

/** Addresses of gateway ports, by port. */
export async function gatewayAddresses(db: Query, routers: readonly RouterRow[]): Promise<ReadonlyMap<string, FixedIp[]>> {
  const found = new Map<string, FixedIp[]>();
  const ports = routers.flatMap((row) => (row.gateway_port_uuid === null ? [] : [row.gateway_port_uuid]));
  for (const some of pieces(ports)) {
    const rows = await db.selectFrom('net_ports').select(['uuid', 'fixed_ips']).where('uuid', 'in', some).execute();
    for (const row of rows) found.set(row.uuid, JSON.parse(row.fixed_ips) as FixedIp[]);
  }
  return found;
}

export function routerView(call: Call, row: RouterRow, gateways: ReadonlyMap<string, FixedIp[]>) {
  const target = { project_id: row.project_id };
  return {
    id: row.uuid,
    name: row.name,
    ...commonView(row),
    status: 'ACTIVE',
    admin_state_up: row.admin_state_up === 1,
    external_gateway_info:
      row.gateway_network_uuid === null
        ? null
        : {
            network_id: row.gateway_network_uuid,
            enable_snat: row.enable_snat === 1,
            external_fixed_ips: gateways.get(row.gateway_port_uuid ?? '') ?? [],
          },
    routes: JSON.parse(row.routes) as ExtraRoute[],
    availability_zone_hints: JSON.parse(row.zone_hints) as string[],
    availability_zones: [],
    flavor_id: null,
    tags: JSON.parse(row.tags) as string[],
    ...(call.allows('get_router:distributed', target) ? { distributed: row.distributed === 1 } : {}),
    ...(call.allows('get_router:ha', target) ? { ha: row.ha === 1 } : {}),
  };
}

/** Every interface port of a router. */
export const interfacesOf = (tx: Query, routerUuid: string): Promise<PortRow[]> =>
  tx
    .selectFrom('net_ports')
    .selectAll()
    .where('device_id', '=', routerUuid)
    .where('device_owner', '=', ROUTER_INTERFACE)
    .orderBy('id')
    .execute();

export const addressesOf = (port: { readonly fixed_ips: string }): FixedIp[] => JSON.parse(port.fixed_ips) as FixedIp[];

/** Subnets that the given ports have addresses of. */
export async function subnetsOfPorts(tx: Query, ports: readonly { readonly fixed_ips: string }[]): Promise<SubnetRow[]> {
  const ids = [...new Set(ports.flatMap((port) => addressesOf(port).map((fixed) => fixed.subnet_id)))];
  return ids.length === 0 ? [] : tx.selectFrom('net_subnets').selectAll().where('uuid', 'in', ids).orderBy('id').execute();
}

const MOST_ROUTES = 30;
/** Throws InvalidRoutes (400) for a route whose next hop is on no network of the router, or is the router itself.
 *  Spec: network api-ref, "Extra routes". */
export async function mustBeGoodRoutes(tx: Query, router: RouterRow, routes: readonly ExtraRoute[]): Promise<void> {
  if (routes.length === 0) return;
  if (routes.length > MOST_ROUTES)
    throw badNetworkInput({
      why: `Unable to complete operation for ${router.uuid}. The number of routes exceeds the maximum ${MOST_ROUTES}.`,
      type: 'RoutesExhausted',
    });
  const ports = await interfacesOf(tx, router.uuid);
  if (router.gateway_port_uuid !== null)
    ports.push(...(await tx.selectFrom('net_ports').selectAll().where('uuid', '=', router.gateway_port_uuid).execute()));
  const own = new Set(ports.flatMap((port) => addressesOf(port).map((fixed) => fixed.ip_address)));
  const nets = (await subnetsOfPorts(tx, ports)).map((subnet) => parseCidr(subnet.cidr));
  for (const route of routes) {
    const hop = parseIp(route.nexthop);
    const refuse = (why: string) =>
      badNetworkInput({ why: `Invalid format for routes: [${JSON.stringify(route)}], ${why}`, type: 'InvalidRoutes' });
    if (!hop || !nets.some((net) => net && inCidr(net, hop))) throw refuse('the nexthop is not connected with router');
    if (own.has(route.nexthop)) throw refuse('the nexthop is used by router');
  }
}
