import { row } from './errors.ts';

// Refusals of the networking API about routers and floating addresses; services/network/dialect.ts gives each the type name that clients know.
type Id = { id: string };
export const routerNotFound = row<Id>('router.not_found', 'notFound', (p) => `Router ${p.id} could not be found`);
export const floatingIpNotFound = row<Id>('floating_ip.not_found', 'notFound', (p) => `Floating IP ${p.id} could not be found`);
export const routerInUse = row<{ id: string; why: string }>('router.in_use', 'conflict', (p) => `Router ${p.id} ${p.why}`);
export const gatewayInUse = row<{ router: string; network: string }>(
  'router.gateway_in_use',
  'conflict',
  (p) =>
    `Gateway cannot be updated for router ${p.router}, since a gateway to external network ${p.network} is required by one or more floating IPs.`,
);
export const routerInterfaceNotFound = row<{ router: string; port: string }>(
  'router_interface.not_found',
  'notFound',
  (p) => `Router ${p.router} does not have an interface with id ${p.port}`,
);
export const routerInterfaceNotFoundForSubnet = row<{ router: string; subnet: string }>(
  'router_interface.not_found_for_subnet',
  'notFound',
  (p) => `Router ${p.router} has no interface on subnet ${p.subnet}`,
);
export const routerInterfaceNeededByFloatingIp = row<{ router: string; subnet: string }>(
  'router_interface.in_use_by_floating_ip',
  'conflict',
  (p) => `Router interface for subnet ${p.subnet} on router ${p.router} cannot be deleted, as it is required by one or more floating IPs.`,
);
export const routerInterfaceNeededByRoute = row<{ router: string; subnet: string }>(
  'router_interface.in_use_by_route',
  'conflict',
  (p) => `Router interface for subnet ${p.subnet} on router ${p.router} cannot be deleted, as it is required by one or more routes.`,
);
export const noWayOut = row<{ network: string; subnet: string; port: string }>(
  'floating_ip.no_way_out',
  'notFound',
  (p) =>
    `External network ${p.network} is not reachable from subnet ${p.subnet}. Therefore, cannot associate Port ${p.port} with a Floating IP: no router has an interface on the subnet and its gateway on the network.`,
);
export const floatingIpAssociated = row<{ address: string; id: string; port: string; fixed: string; network: string }>(
  'floating_ip.already_associated',
  'conflict',
  (p) =>
    `Cannot associate floating IP ${p.address} (${p.id}) with port ${p.port} using fixed IP ${p.fixed}, as that fixed IP already has a floating IP on external network ${p.network}.`,
);
export const portServesNetwork = row<{ id: string; owner: string; verb: string }>(
  'port.serves_network',
  'conflict',
  (p) => `Port ${p.id} cannot be ${p.verb} directly via the port API: has device owner ${p.owner}.`,
);
