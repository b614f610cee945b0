import type { Call, Reply } from '../../http/call.ts';
import {
  fixedIpNotAssigned,
  fixedIpNotOnServer,
  floatingIpElsewhere,
  floatingIpNotAssociable,
  floatingIpUnknown,
  noFixedIps,
  noInterfaceOnNetwork,
  noMoreFixedIps,
} from '../../model/errors-interfaces.ts';
import { refreshNetwork } from './network-refresh.ts';
import {
  asked,
  type FloatingIpJson,
  listOf,
  type NetworkingParts,
  one,
  type PortJson,
  portsOfServer,
  saying,
  statusOf,
} from './networking.ts';
import { serverOf } from './server-find.ts';
import { mustAllow } from './server-tasks.ts';

type Fixed = { readonly subnet_id?: string; readonly ip_address?: string };
/** Sets a port's addresses. The server is the caller's, but a member may not choose addresses on a shared network: so compute itself asks. */
const setAddresses = (parts: NetworkingParts, call: Call, port: PortJson, fixed_ips: readonly Fixed[]) =>
  asked(parts, call, 'PUT', one('ports', port.id), { body: { port: { fixed_ips } }, asService: true });

/** addFixedIp: one more address on a network the server is on (to 2.43).  Spec: compute api-ref "Add (Associate) Fixed Ip". */
export async function addFixedIp(parts: NetworkingParts, call: Call<{ addFixedIp: { networkId: string | number } }>): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  mustAllow('addFixedIp', 'add_fixed_ip', server, call);
  const network = String(call.body.addFixedIp.networkId);
  const ports = (await portsOfServer(parts, call, server.uuid)).filter((port) => port.network_id === network);
  if (ports.length === 0) throw noInterfaceOnNetwork({ id: server.uuid, network });
  const subnets = await listOf<{ id: string }>(parts, call, 'subnets', [['network_id', network]]);
  for (const subnet of subnets) {
    for (const port of ports) {
      try {
        await setAddresses(parts, call, port, [...port.fixed_ips, { subnet_id: subnet.id }]);
      } catch (cause) {
        if (statusOf(cause) !== 409) throw cause; // this subnet is full: the next one
        continue;
      }
      await refreshNetwork(parts, server.uuid);
      return { status: 202 };
    }
  }
  throw noMoreFixedIps({ network });
}

/** removeFixedIp (to 2.43).  Spec: compute api-ref "Remove (Disassociate) Fixed Ip". */
export async function removeFixedIp(parts: NetworkingParts, call: Call<{ removeFixedIp: { address: string } }>): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  mustAllow('removeFixedIp', 'remove_fixed_ip', server, call);
  const { address } = call.body.removeFixedIp;
  const port = (await portsOfServer(parts, call, server.uuid)).find((one) => one.fixed_ips.some((fixed) => fixed.ip_address === address));
  if (!port) throw fixedIpNotOnServer({ id: server.uuid, address });
  await setAddresses(
    parts,
    call,
    port,
    port.fixed_ips.filter((fixed) => fixed.ip_address !== address),
  );
  await refreshNetwork(parts, server.uuid);
  return { status: 202 };
}

const floatingOf = async (parts: NetworkingParts, call: Call, address: string): Promise<FloatingIpJson> => {
  const [found] = await listOf<FloatingIpJson>(parts, call, 'floatingips', [['floating_ip_address', address]]);
  if (!found) throw floatingIpUnknown({ address });
  return found;
};

type AddFloatingIp = { addFloatingIp: { address: string; fixed_address?: string } };
/** addFloatingIp (to 2.43).  Spec: compute api-ref "Add (Associate) Floating Ip". */
export async function addFloatingIp(parts: NetworkingParts, call: Call<AddFloatingIp>): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  mustAllow('addFloatingIp', 'add_floating_ip', server, call);
  const { address, fixed_address } = call.body.addFloatingIp;
  const ports = await portsOfServer(parts, call, server.uuid);
  const all = ports.flatMap((port) => port.fixed_ips.map((fixed) => ({ port, address: fixed.ip_address })));
  if (all.length === 0) throw noFixedIps({});
  const fixed = all.find((one) => (fixed_address === undefined ? !one.address.includes(':') : one.address === fixed_address));
  if (!fixed) throw fixed_address === undefined ? noFixedIps({}) : fixedIpNotAssigned({});
  const floating = await floatingOf(parts, call, address);
  const body = { floatingip: { port_id: fixed.port.id, fixed_ip_address: fixed.address } };
  const refused = (cause: Error) =>
    floatingIpNotAssociable({ address, fixed: fixed.address, id: server.uuid, why: cause.message }, { cause });
  await saying(asked(parts, call, 'PUT', one('floatingips', floating.id), { body }), { 400: refused, 404: refused, 409: refused });
  await refreshNetwork(parts, server.uuid);
  return { status: 202 };
}

/** removeFloatingIp (to 2.43).  Spec: compute api-ref "Remove (Disassociate) Floating Ip". */
export async function removeFloatingIp(parts: NetworkingParts, call: Call<{ removeFloatingIp: { address: string } }>): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  mustAllow('removeFloatingIp', 'remove_floating_ip', server, call);
  const { address } = call.body.removeFloatingIp;
  const floating = await floatingOf(parts, call, address);
  const ports = await portsOfServer(parts, call, server.uuid);
  if (!ports.some((port) => port.id === floating.port_id)) throw floatingIpElsewhere({ address, id: server.uuid });
  await asked(parts, call, 'PUT', one('floatingips', floating.id), { body: { floatingip: { port_id: null } } });
  await refreshNetwork(parts, server.uuid);
  return { status: 202 };
}
