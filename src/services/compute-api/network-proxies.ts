import type { Call, Reply } from '../../http/call.ts';
import { floatingIpIdUnknown, floatingIpOverQuota, floatingPoolUnknown, interfaceNetworkNotFound } from '../../model/errors-interfaces.ts';
import { asked, type FloatingIpJson, listOf, type NetworkingParts, type NetworkJson, one, type PortJson, saying } from './networking.ts';
import { isAdmin } from './server-find.ts';

// Old roads to the network service (to 2.35): what they answer is what it says, in the words of the time before it.

const OF_OLD = [
  'cidr',
  'netmask',
  'gateway',
  'broadcast',
  'dns1',
  'dns2',
  'cidr_v6',
  'gateway_v6',
  'netmask_v6',
  'mtu',
  'dhcp_server',
  'enable_dhcp',
  'share_address',
];
const FOR_ADMINS = [
  'created_at',
  'updated_at',
  'deleted_at',
  'deleted',
  'injected',
  'bridge',
  'vlan',
  'vpn_public_address',
  'vpn_public_port',
  'vpn_private_address',
  'dhcp_start',
  'project_id',
  'host',
  'bridge_interface',
  'multi_host',
  'priority',
  'rxtx_base',
];
const nothingIn = (words: readonly string[]) => Object.fromEntries(words.map((word) => [word, null]));
const networkView = (call: Call, network: NetworkJson) => ({
  ...nothingIn(OF_OLD),
  ...(isAdmin(call) ? nothingIn(FOR_ADMINS) : {}),
  id: network.id,
  label: network.name,
});
const briefView = (_call: Call, network: NetworkJson) => ({ id: network.id, cidr: 'None', label: network.name });

const listing =
  (view: (call: Call, network: NetworkJson) => object) =>
  async (parts: NetworkingParts, call: Call): Promise<Reply> => {
    const networks = await listOf<NetworkJson>(parts, call, 'networks', []);
    return { status: 200, body: { networks: networks.map((network) => view(call, network)) } };
  };
const showing =
  (view: (call: Call, network: NetworkJson) => object) =>
  async (parts: NetworkingParts, call: Call): Promise<Reply> => {
    const id = call.params.id ?? '';
    const found = asked<{ network: NetworkJson }>(parts, call, 'GET', one('networks', id));
    const { network } = await saying(found, { 404: (cause) => interfaceNetworkNotFound({ id }, { cause }) });
    return { status: 200, body: { network: view(call, network) } };
  };
/** GET /os-networks and /os-networks/{id}.  Spec: compute api-ref "Networks". */
export const listNetworks = listing(networkView);
export const showNetwork = showing(networkView);
/** GET /os-tenant-networks and /os-tenant-networks/{id}.  Spec: compute api-ref "Project networks". */
export const listTenantNetworks = listing(briefView);
export const showTenantNetwork = showing(briefView);

const externalNetworks = (parts: NetworkingParts, call: Call) =>
  listOf<NetworkJson>(parts, call, 'networks', [['router:external', 'True']]);

/** GET /os-floating-ip-pools: the external networks, by name. */
export async function listFloatingIpPools(parts: NetworkingParts, call: Call): Promise<Reply> {
  const pools = await externalNetworks(parts, call);
  return { status: 200, body: { floating_ip_pools: pools.map(({ name }) => ({ name })) } };
}

/** Floating addresses with their network's name and their port's server, in three questions however many there are. */
async function views(parts: NetworkingParts, call: Call, floating: readonly FloatingIpJson[]): Promise<object[]> {
  if (floating.length === 0) return [];
  const pools = new Map((await externalNetworks(parts, call)).map((network) => [network.id, network.name]));
  const ids = [...new Set(floating.flatMap((one) => one.port_id ?? []))];
  const words = ids.map((id) => ['id', id] as const);
  const ports = new Map((ids.length === 0 ? [] : await listOf<PortJson>(parts, call, 'ports', words)).map((port) => [port.id, port]));
  return floating.map((one) => ({
    id: one.id,
    ip: one.floating_ip_address,
    pool: pools.get(one.floating_network_id) ?? one.floating_network_id,
    fixed_ip: one.fixed_ip_address,
    instance_id: ports.get(one.port_id ?? '')?.device_id || null,
  }));
}

/** GET /os-floating-ips: the project's.  Spec: compute api-ref "Floating IPs". */
export async function listFloatingIps(parts: NetworkingParts, call: Call): Promise<Reply> {
  const mine = await listOf<FloatingIpJson>(parts, call, 'floatingips', [['project_id', call.caller.projectId ?? '']]);
  return { status: 200, body: { floating_ips: await views(parts, call, mine) } };
}

const found = (parts: NetworkingParts, call: Call, id: string) =>
  saying(asked<{ floatingip: FloatingIpJson }>(parts, call, 'GET', one('floatingips', id)), {
    404: (cause) => floatingIpIdUnknown({ id }, { cause }),
  });
export async function showFloatingIp(parts: NetworkingParts, call: Call): Promise<Reply> {
  const { floatingip } = await found(parts, call, call.params.id ?? '');
  return { status: 200, body: { floating_ip: (await views(parts, call, [floatingip]))[0] } };
}

/** POST /os-floating-ips: one of the pool that is named, else of the default one. Throws 404 for an unknown pool, 403 over quota. */
export async function createFloatingIp(parts: NetworkingParts, call: Call<{ pool?: string | null } | null>): Promise<Reply> {
  const pools = await externalNetworks(parts, call);
  const wanted = call.body?.pool ?? null;
  const pool =
    wanted === null
      ? (pools.find((network) => network.is_default) ?? pools[0])
      : pools.find((network) => network.name === wanted || network.id === wanted);
  if (!pool) throw floatingPoolUnknown({});
  const body = { floatingip: { floating_network_id: pool.id, project_id: call.caller.projectId } };
  const made = asked<{ floatingip: FloatingIpJson }>(parts, call, 'POST', '/v2.0/floatingips', { body });
  const { floatingip } = await saying(made, { 409: (cause) => floatingIpOverQuota({}, { cause }) });
  return { status: 200, body: { floating_ip: (await views(parts, call, [floatingip]))[0] } };
}

/** DELETE /os-floating-ips/{id}: takes it off its server and gives it back. */
export async function deleteFloatingIp(parts: NetworkingParts, call: Call): Promise<Reply> {
  const id = call.params.id ?? '';
  await found(parts, call, id);
  await saying(asked(parts, call, 'DELETE', one('floatingips', id)), { 404: (cause) => floatingIpIdUnknown({ id }, { cause }) });
  return { status: 202 };
}
