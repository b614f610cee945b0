import type { Query } from '../../db/engine.ts';
import type { Call, Reply } from '../../http/call.ts';
import { badNetworkInput, portInUse, portNotFound, subnetNotFound } from '../../model/errors-network.ts';
import {
  routerInterfaceNeededByFloatingIp,
  routerInterfaceNeededByRoute,
  routerInterfaceNotFound,
  routerInterfaceNotFoundForSubnet,
} from '../../model/errors-routers.ts';
import { inCidr, parseCidr, parseIp } from '../../model/ip-address.ts';
import { must } from './access.ts';
import { both, readAttributes, uuid } from './attributes.ts';
import type { GroupContext } from './default-group.ts';
import { ROUTER_INTERFACE } from './floating-links.ts';
import type { NetworkParts } from './parts.ts';
import { insertPort, lockPort, type PortRow, portStatus, removePort, servicePort } from './port-rows.ts';
import { visiblePort } from './ports.ts';
import { addressesOf, type ExtraRoute, interfacesOf, lockRouter, type RouterRow, subnetsOfPorts, visibleRouter } from './router-rows.ts';
import { type SubnetRow, visibleSubnet } from './subnets.ts';

const attributes = { subnet_id: both(uuid), port_id: both(uuid) };
const badRouter = (why: string) => badNetworkInput({ why: `Bad router request: ${why}.`, type: 'BadRequest' });

const view = (router: RouterRow, port: PortRow) => {
  const subnets = addressesOf(port).map((fixed) => fixed.subnet_id);
  return {
    id: router.uuid,
    project_id: port.project_id,
    tenant_id: port.project_id,
    port_id: port.uuid,
    network_id: port.network_uuid,
    subnet_id: subnets[0] ?? null,
    subnet_ids: subnets,
  };
};

/** Throws BadRequest (400) for a subnet the router has already, or one that overlaps with one it has. */
async function mustNotCross(tx: Query, router: RouterRow, added: readonly SubnetRow[]): Promise<void> {
  const there = await subnetsOfPorts(tx, await interfacesOf(tx, router.uuid));
  for (const subnet of added) {
    if (there.some((other) => other.uuid === subnet.uuid)) throw badRouter(`Router already has a port on subnet ${subnet.uuid}`);
    const mine = parseCidr(subnet.cidr);
    for (const other of there) {
      const theirs = parseCidr(other.cidr);
      if (mine && theirs && mine.version === theirs.version && mine.base <= theirs.last && theirs.base <= mine.last)
        throw badRouter(`Cidr ${subnet.cidr} of subnet ${subnet.uuid} overlaps with cidr ${other.cidr} of subnet ${other.uuid}`);
    }
  }
}

/** Gives a locked router the gateway address of a subnet. Throws BadRequest (400), addressTaken (409). */
export async function plugSubnet(tx: Query, context: GroupContext, router: RouterRow, subnet: SubnetRow): Promise<PortRow> {
  if (subnet.gateway_ip === null) throw badRouter('Subnet for router interface must have a gateway IP');
  await mustNotCross(tx, router, [subnet]);
  const fixedIps = [{ subnet_id: subnet.uuid, ip_address: subnet.gateway_ip }];
  const wish = { networkUuid: subnet.network_uuid, deviceId: router.uuid, deviceOwner: ROUTER_INTERFACE, fixedIps };
  return insertPort(tx, context, { ...servicePort(wish), projectId: router.project_id });
}

async function plugPort(tx: Query, context: GroupContext, router: RouterRow, portUuid: string): Promise<PortRow> {
  const port = await lockPort(tx, portUuid, context.now);
  if (!port) throw portNotFound({ id: portUuid });
  if (port.device_id !== '') throw portInUse({ id: port.uuid, network: port.network_uuid, device: port.device_id });
  if (addressesOf(port).length === 0) throw badRouter('Router port must have at least one fixed IP');
  const subnets = await subnetsOfPorts(tx, [port]);
  if (subnets.filter((subnet) => subnet.ip_version === 4).length > 1) throw badRouter('Cannot have multiple IPv4 subnets on router port');
  await mustNotCross(tx, router, subnets);
  const changed = { ...port, device_id: router.uuid, device_owner: ROUTER_INTERFACE };
  const set = { device_id: changed.device_id, device_owner: changed.device_owner, status: portStatus(changed) };
  await tx.updateTable('net_ports').set(set).where('uuid', '=', port.uuid).execute();
  return { ...changed, ...set };
}

export async function addRouterInterface(parts: NetworkParts, call: Call): Promise<Reply> {
  const router = await visibleRouter(parts, call, call.params.id ?? '');
  must(call, 'add_router_interface', { project_id: router.project_id });
  const wish = readAttributes(attributes, call.body as Record<string, unknown>, 'update'); // the route's shape promises an object
  if (wish.subnet_id && wish.port_id) throw badRouter('Cannot specify both subnet-id and port-id');
  const context = { kind: parts.db.kind, quotas: parts.quotas, now: parts.clock.now() };
  const subnet = wish.subnet_id ? (await visibleSubnet(parts, call, wish.subnet_id)).row : undefined;
  const given = wish.port_id ? (await visiblePort(parts, call, wish.port_id)).row : undefined;
  if (!subnet && !given) throw badRouter('Either subnet_id or port_id must be specified');
  const { locked, port } = await parts.db.transaction(async (tx) => {
    const locked = await lockRouter(tx, router.uuid, context.now);
    const port = subnet ? await plugSubnet(tx, context, locked, subnet) : await plugPort(tx, context, locked, given?.uuid ?? '');
    return { locked, port };
  });
  return { status: 200, body: view(locked, port) };
}

/** Throws 409 while routes or floating addresses go over this interface. */
async function mustNotBeNeeded(tx: Query, router: RouterRow, port: PortRow, subnets: readonly SubnetRow[]): Promise<void> {
  for (const subnet of subnets) {
    const cidr = parseCidr(subnet.cidr);
    const hops = (JSON.parse(router.routes) as ExtraRoute[]).map((route) => parseIp(route.nexthop));
    if (cidr && hops.some((hop) => hop && inCidr(cidr, hop)))
      throw routerInterfaceNeededByRoute({ router: router.uuid, subnet: subnet.uuid });
    const behind = await tx
      .selectFrom('net_floating_ips')
      .innerJoin('net_addresses', (join) =>
        join
          .onRef('net_addresses.port_uuid', '=', 'net_floating_ips.fixed_port_uuid')
          .onRef('net_addresses.address', '=', 'net_floating_ips.fixed_address'),
      )
      .select('net_floating_ips.uuid')
      .where('net_floating_ips.router_uuid', '=', router.uuid)
      .where('net_addresses.subnet_uuid', '=', subnet.uuid)
      .where('net_addresses.port_uuid', '!=', port.uuid)
      .limit(1)
      .executeTakeFirst();
    if (behind) throw routerInterfaceNeededByFloatingIp({ router: router.uuid, subnet: subnet.uuid });
  }
}

export async function removeRouterInterface(parts: NetworkParts, call: Call): Promise<Reply> {
  const router = await visibleRouter(parts, call, call.params.id ?? '');
  must(call, 'remove_router_interface', { project_id: router.project_id });
  const wish = readAttributes(attributes, call.body as Record<string, unknown>, 'update'); // the route's shape promises an object
  const { port_id, subnet_id } = wish;
  if (!port_id && !subnet_id) throw badRouter('Either subnet_id or port_id must be specified');
  if (subnet_id && !(await parts.db.read.selectFrom('net_subnets').select('id').where('uuid', '=', subnet_id).executeTakeFirst()))
    throw subnetNotFound({ id: subnet_id });
  const body = await parts.db.transaction(async (tx) => {
    const locked = await lockRouter(tx, router.uuid, parts.clock.now());
    const on = (port: PortRow) => addressesOf(port).some((fixed) => fixed.subnet_id === subnet_id);
    const ports = await interfacesOf(tx, router.uuid);
    const port = port_id ? ports.find((one) => one.uuid === port_id) : ports.find(on);
    if (!port && port_id) throw routerInterfaceNotFound({ router: router.uuid, port: port_id });
    if (!port) throw routerInterfaceNotFoundForSubnet({ router: router.uuid, subnet: subnet_id ?? '' });
    if (port_id && subnet_id && !on(port))
      throw badNetworkInput({
        why: `The requested port ${port_id} is not associated with the requested subnet ${subnet_id}.`,
        type: 'SubnetMismatchForPort',
      });
    await mustNotBeNeeded(tx, locked, port, await subnetsOfPorts(tx, [port]));
    await removePort(tx, port);
    return { ...view(locked, port), ...(subnet_id ? { subnet_id } : {}) };
  });
  return { status: 200, body };
}
