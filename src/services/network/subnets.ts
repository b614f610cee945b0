import { type Selectable, sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import { subnetIsUsed, takenBySubnet } from '../../db/tables/network/addresses.ts';
import { giveQuota, takeQuota } from '../../db/tables/network/quotas.ts';
import type { NetSubnetsTable } from '../../db/tables/network/tables.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import {
  badNetworkInput,
  networkConflict,
  networkNotFound,
  subnetInUse,
  subnetNotFound,
  subnetOverlaps,
} from '../../model/errors-network.ts';
import { type Cidr, formatIp, hostRange, inCidr, parseCidr, parseIp } from '../../model/ip-address.ts';
import type { Target } from '../../model/policy.ts';
import { commonView, elevated, must, mustBeRevision, mustSee, ownerOf, touch, word } from './access.ts';
import {
  atCreate,
  bool,
  both,
  cidr as cidrReader,
  int,
  ip,
  listOf,
  needed,
  objectsIn,
  oneOfWords,
  orNull,
  readAttributes,
  record,
  text,
  unique,
  uuid,
  type Values,
} from './attributes.ts';
import { boolColumn, commonColumns, intColumn, type Listing, listAnswer, listRows, selectFields, textColumn } from './listing.ts';
import { findNetwork, given, type NetworkRow, visibleNetwork } from './networks.ts';
import type { NetworkParts } from './parts.ts';
import { resourceRow } from './resource-row.ts';

export type SubnetRow = Selectable<NetSubnetsTable>;
interface Pool {
  readonly start: string;
  readonly end: string;
}
const attributes = {
  name: both(text()),
  description: both(text()),
  network_id: needed(uuid),
  project_id: atCreate(text()),
  tenant_id: atCreate(text()),
  ip_version: needed(int(4, 6)),
  cidr: atCreate(orNull(cidrReader)),
  gateway_ip: both(orNull(ip)),
  enable_dhcp: both(bool),
  allocation_pools: both(listOf(record({ start: needed(ip), end: needed(ip) }))),
  dns_nameservers: both(unique(listOf(ip, 20))),
  host_routes: both(unique(listOf(record({ destination: needed(cidrReader), nexthop: needed(ip) }), 100))),
  service_types: both(listOf(text(255), 50)),
  ipv6_ra_mode: atCreate(orNull(oneOfWords('slaac', 'dhcpv6-stateful', 'dhcpv6-stateless'))),
  ipv6_address_mode: atCreate(orNull(oneOfWords('slaac', 'dhcpv6-stateful', 'dhcpv6-stateless'))),
  subnetpool_id: atCreate(orNull(text())),
  use_default_subnetpool: atCreate(bool),
  prefixlen: atCreate(orNull(int(0, 128))),
};
type Wish = Values<typeof attributes>;

export const subnetListing: Listing = {
  table: 'net_subnets',
  plural: 'subnets',
  hasTags: true,
  columns: {
    ...commonColumns,
    network_id: textColumn('network_uuid'),
    ip_version: intColumn('ip_version'),
    cidr: textColumn('cidr'),
    gateway_ip: textColumn('gateway_ip'),
    enable_dhcp: boolColumn('enable_dhcp'),
    ipv6_ra_mode: textColumn('ipv6_ra_mode'),
    ipv6_address_mode: textColumn('ipv6_address_mode'),
  },
  special: {
    // No subnet comes from a pool: only a search for "none" finds any.
    subnetpool_id: (values) => (values.includes('') ? sql<boolean>`1 = 1` : sql<boolean>`1 = 0`),
    shared: (values) => {
      const yes = values.some((value) => ['true', '1'].includes(value.toLowerCase()));
      const among = sql`(select uuid from net_networks where shared = 1)`;
      return yes ? sql<boolean>`network_uuid in ${among}` : sql<boolean>`network_uuid not in ${among}`;
    },
  },
};

const subnetTarget = (row: { project_id: string }, network: NetworkRow): Target => ({
  project_id: row.project_id,
  tenant_id: row.project_id,
  'network:project_id': network.project_id,
  shared: word(network.shared === 1),
});

export const subnetView = (row: SubnetRow) => ({
  id: row.uuid,
  name: row.name,
  ...commonView(row),
  network_id: row.network_uuid,
  ip_version: row.ip_version,
  cidr: row.cidr,
  gateway_ip: row.gateway_ip,
  enable_dhcp: row.enable_dhcp === 1,
  allocation_pools: JSON.parse(row.pools) as Pool[],
  dns_nameservers: JSON.parse(row.name_servers) as string[],
  host_routes: JSON.parse(row.host_routes) as object[],
  service_types: JSON.parse(row.service_types) as string[],
  ipv6_ra_mode: row.ipv6_ra_mode,
  ipv6_address_mode: row.ipv6_address_mode,
  subnetpool_id: null,
  tags: JSON.parse(row.tags) as string[],
});

export const findSubnet = (db: Query, id: string): Promise<SubnetRow | undefined> =>
  db.selectFrom('net_subnets').selectAll().where('uuid', '=', id.toLowerCase()).executeTakeFirst();

export async function visibleSubnet(parts: NetworkParts, call: Call, id: string): Promise<{ row: SubnetRow; target: Target }> {
  const row = await findSubnet(parts.db.read, id);
  const network = row && (await findNetwork(parts.db.read, row.network_uuid));
  const missing = () => subnetNotFound({ id: id.slice(0, 100) });
  if (!row || !network) throw missing();
  mustSee(call, 'get_subnet', subnetTarget(row, network), missing);
  return { row, target: subnetTarget(row, network) };
}

export async function listSubnets(parts: NetworkParts, call: Call): Promise<Reply> {
  const mine = call.caller.projectId ?? '';
  const visible = elevated(call)
    ? []
    : [sql<boolean>`(project_id = ${mine} or network_uuid in (select uuid from net_networks where shared = 1 or project_id = ${mine}))`];
  const { rows, links } = await listRows<SubnetRow>(parts.db, call, subnetListing, visible);
  return listAnswer(call, subnetListing, rows.map(subnetView), links);
}

export async function showSubnet(parts: NetworkParts, call: Call): Promise<Reply> {
  const { row } = await visibleSubnet(parts, call, call.params.id ?? '');
  return { status: 200, body: { subnet: selectFields(call, subnetView(row)) } };
}

/** Every address of the subnet but its gateway and what user mode keeps.  Spec: network api-ref, "allocation_pools". */
export function defaultPools(cidr: Cidr, cidrText: string, gateway: string | null): Pool[] {
  const { first, last } = hostRange(cidr);
  const holes = takenBySubnet({ cidr: cidrText, gateway_ip: gateway })
    .map((address) => parseIp(address)?.value ?? -1n)
    .filter((hole) => hole >= first && hole <= last)
    .sort((a, b) => (a < b ? -1 : 1));
  const pools: Pool[] = [];
  let from = first;
  for (const hole of [...holes, last + 1n]) {
    if (hole > from) pools.push({ start: formatIp(cidr.version, from), end: formatIp(cidr.version, hole - 1n) });
    from = hole + 1n;
  }
  return pools;
}

function mustBeGoodGateway(gateway: string, cidr: Cidr, cidrText: string): void {
  const address = parseIp(gateway);
  const { first, last } = hostRange(cidr);
  if (!address || !inCidr(cidr, address) || address.value < first || address.value > last)
    throw badNetworkInput({ why: `Invalid input for operation: Gateway ${gateway} is not valid on subnet ${cidrText}.` });
}

function mustBeGoodPools(pools: readonly Pool[], cidr: Cidr, cidrText: string, gateway: string | null): void {
  const { first, last } = hostRange(cidr);
  const read = pools.map((pool) => ({ pool, start: parseIp(pool.start), end: parseIp(pool.end) }));
  const door = gateway === null ? undefined : parseIp(gateway)?.value;
  const sorted = read
    .map(({ pool, start, end }) => {
      if (!start || !end || start.version !== cidr.version || end.version !== cidr.version || start.value > end.value)
        throw badNetworkInput({ why: `The allocation pool ${pool.start}-${pool.end} is not valid.`, type: 'InvalidAllocationPool' });
      if (start.value < first || end.value > last)
        throw badNetworkInput({
          why: `The allocation pool ${pool.start}-${pool.end} spans beyond the subnet cidr ${cidrText}.`,
          type: 'OutOfBoundsAllocationPool',
        });
      if (door !== undefined && door >= start.value && door <= end.value)
        throw networkConflict({
          why: `Gateway ip ${gateway} conflicts with allocation pool ${pool.start}-${pool.end}.`,
          type: 'GatewayConflictWithAllocationPools',
        });
      return { pool, start: start.value, end: end.value };
    })
    .sort((a, b) => (a.start < b.start ? -1 : 1));
  for (let at = 1; at < sorted.length; at++) {
    const [a, b] = [sorted[at - 1], sorted[at]];
    if (a && b && b.start <= a.end)
      throw networkConflict({
        why: `Found overlapping allocation pools: ${a.pool.start}-${a.pool.end} ${b.pool.start}-${b.pool.end} for subnet ${cidrText}.`,
        type: 'OverlappingAllocationPools',
      });
  }
}

const versionOf = (address: string) => (address.includes(':') ? 6 : 4);

/** A whole row out of a wish. Throws what is wrong with it (400, 409). */
export function newSubnetRow(projectId: string, networkUuid: string, wish: Wish, now: number) {
  if (wish.subnetpool_id || wish.use_default_subnetpool || (wish.prefixlen !== undefined && wish.prefixlen !== null))
    throw badNetworkInput({ why: 'Subnet pools are not served here: give the subnet its cidr.' });
  if (!wish.cidr)
    throw badNetworkInput({ why: 'Bad subnets request: a cidr must be specified in the absence of a subnet pool.', type: 'BadRequest' });
  const version = wish.ip_version;
  const cidr = parseCidr(wish.cidr);
  if (!cidr || (version !== 4 && version !== 6) || cidr.version !== version)
    throw badNetworkInput({ why: `Invalid input for operation: ip_version ${version} does not match cidr ${wish.cidr}.` });
  if (cidr.prefix === 0) throw badNetworkInput({ why: 'Invalid input for operation: 0 is not allowed as CIDR prefix length.' });
  const { first } = hostRange(cidr);
  const gateway = wish.gateway_ip === undefined ? formatIp(cidr.version, first) : wish.gateway_ip;
  if (gateway !== null) mustBeGoodGateway(gateway, cidr, wish.cidr);
  const pools = wish.allocation_pools ? (wish.allocation_pools as Pool[]) : defaultPools(cidr, wish.cidr, gateway);
  if (wish.allocation_pools) mustBeGoodPools(pools, cidr, wish.cidr, wish.gateway_ip === undefined ? null : gateway);
  mustMatchVersion(wish, version);
  if (version === 4 && (wish.ipv6_ra_mode || wish.ipv6_address_mode))
    throw badNetworkInput({ why: 'Invalid input for operation: ipv6_ra_mode and ipv6_address_mode are for subnets of IP version 6.' });
  if (wish.enable_dhcp === false && (wish.ipv6_ra_mode || wish.ipv6_address_mode))
    throw badNetworkInput({
      why: 'Invalid input for operation: ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False.',
    });
  if (wish.ipv6_ra_mode && wish.ipv6_address_mode && wish.ipv6_ra_mode !== wish.ipv6_address_mode)
    throw badNetworkInput({ why: 'Invalid input for operation: ipv6_ra_mode and ipv6_address_mode must be the same.' });
  if (selfAddressed(wish) && cidr.prefix !== 64)
    throw badNetworkInput({
      why: `Invalid input for operation: Invalid CIDR ${wish.cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64.`,
    });
  return {
    ...resourceRow(projectId, wish, now),
    revision: 0,
    network_uuid: networkUuid,
    ip_version: version,
    cidr: wish.cidr,
    gateway_ip: gateway,
    enable_dhcp: wish.enable_dhcp === false ? 0 : 1,
    pools: JSON.stringify(pools),
    name_servers: JSON.stringify(wish.dns_nameservers ?? []),
    host_routes: JSON.stringify(wish.host_routes ?? []),
    service_types: JSON.stringify(wish.service_types ?? []),
    ipv6_ra_mode: wish.ipv6_ra_mode ?? null,
    ipv6_address_mode: wish.ipv6_address_mode ?? null,
    next_index: 0,
  };
}

/** Whether guests make their own addresses out of their MAC. */
export const selfAddressed = (subnet: { readonly ipv6_address_mode?: string | null }): boolean =>
  subnet.ipv6_address_mode === 'slaac' || subnet.ipv6_address_mode === 'dhcpv6-stateless';

function mustMatchVersion(wish: Wish, version: number): void {
  for (const server of wish.dns_nameservers ?? [])
    if (versionOf(server) !== version)
      throw badNetworkInput({ why: `Invalid input for operation: dns_nameserver ${server} does not match the ip_version ${version}.` });
  for (const route of wish.host_routes ?? [])
    if (versionOf(route.destination ?? '') !== version || versionOf(route.nexthop ?? '') !== version)
      throw badNetworkInput({ why: `Invalid input for operation: a host_route does not match the ip_version ${version}.` });
}

export async function createSubnets(parts: NetworkParts, call: Call): Promise<Reply> {
  const { items, bulk } = objectsIn(call.body, 'subnet', 'subnets');
  const now = parts.clock.now();
  const rows: ReturnType<typeof newSubnetRow>[] = [];
  for (const item of items) {
    const wish = readAttributes(attributes, item, 'create');
    const network = await visibleNetwork(parts, call, wish.network_id ?? '');
    const projectId = ownerOf(call, wish);
    must(call, 'create_subnet', subnetTarget({ project_id: projectId }, network));
    if (projectId !== network.project_id && !elevated(call)) throw networkNotFound({ id: network.uuid });
    rows.push(newSubnetRow(projectId, network.uuid, wish, now));
  }
  await parts.db.transaction(async (tx) => {
    for (const row of rows) await takeQuota(tx, parts.db.kind, parts.quotas, row.project_id, 'subnet', 1);
    for (const row of rows) await insertSubnet(tx, row);
  });
  const views = rows.map((row) => subnetView({ ...row, id: 0 }));
  return { status: 201, body: bulk ? { subnets: views } : { subnet: views[0] } };
}

/** Inserts under the network's lock, so that no two subnets of it overlap. */
export async function insertSubnet(tx: Query, row: ReturnType<typeof newSubnetRow>): Promise<void> {
  if (!(await touch(tx, 'net_networks', row.network_uuid, row.created_at))) throw networkNotFound({ id: row.network_uuid });
  const others = await tx.selectFrom('net_subnets').select(['cidr']).where('network_uuid', '=', row.network_uuid).execute();
  const mine = parseCidr(row.cidr);
  for (const other of others) {
    const theirs = parseCidr(other.cidr);
    if (mine && theirs && mine.version === theirs.version && mine.base <= theirs.last && theirs.base <= mine.last)
      throw subnetOverlaps({ cidr: row.cidr, other: other.cidr });
  }
  await tx.insertInto('net_subnets').values(row).execute();
}

export async function updateSubnet(parts: NetworkParts, call: Call): Promise<Reply> {
  const { row, target } = await visibleSubnet(parts, call, call.params.id ?? '');
  const { items } = objectsIn(call.body, 'subnet', 'subnet');
  const wish = readAttributes(attributes, items[0] ?? {}, 'update');
  must(call, 'update_subnet', target);
  const cidr = parseCidr(row.cidr);
  if (!cidr) throw invalidInput({ why: 'The subnet has no cidr.' });
  mustMatchVersion(wish, row.ip_version);
  const gateway = wish.gateway_ip === undefined ? row.gateway_ip : wish.gateway_ip;
  if (wish.gateway_ip) mustBeGoodGateway(wish.gateway_ip, cidr, row.cidr);
  const pools = (wish.allocation_pools as Pool[] | undefined) ?? (JSON.parse(row.pools) as Pool[]);
  const placesChange = wish.gateway_ip !== undefined || wish.allocation_pools !== undefined;
  if (placesChange) mustBeGoodPools(pools, cidr, row.cidr, gateway);
  const set = given({
    name: wish.name,
    description: wish.description,
    gateway_ip: wish.gateway_ip,
    enable_dhcp: wish.enable_dhcp === undefined ? undefined : wish.enable_dhcp ? 1 : 0,
    pools: wish.allocation_pools && JSON.stringify(pools),
    name_servers: wish.dns_nameservers && JSON.stringify(wish.dns_nameservers),
    host_routes: wish.host_routes && JSON.stringify(wish.host_routes),
    service_types: wish.service_types && JSON.stringify(wish.service_types),
    next_index: placesChange ? 0 : undefined, // the cursor walks the new pools from their start
  });
  const fresh = await parts.db.transaction(async (tx) => {
    if (!(await touch(tx, 'net_subnets', row.uuid, parts.clock.now()))) throw subnetNotFound({ id: row.uuid });
    const locked = await findSubnet(tx, row.uuid);
    if (!locked) throw subnetNotFound({ id: row.uuid });
    mustBeRevision(call, { revision: locked.revision - 1 });
    if (wish.gateway_ip !== undefined && wish.gateway_ip !== locked.gateway_ip) {
      // Neither may a router hold the old one, nor anybody the new one.
      if (locked.gateway_ip !== null) await mustBeFree(tx, row.uuid, locked.gateway_ip);
      if (wish.gateway_ip !== null) await mustBeFree(tx, row.uuid, wish.gateway_ip);
    }
    if (Object.keys(set).length > 0) await tx.updateTable('net_subnets').set(set).where('uuid', '=', row.uuid).execute();
    return { ...locked, ...set };
  });
  return { status: 200, body: { subnet: subnetView(fresh) } };
}

async function mustBeFree(tx: Query, subnetUuid: string, address: string): Promise<void> {
  const held = await tx
    .selectFrom('net_addresses')
    .select('port_uuid')
    .where('subnet_uuid', '=', subnetUuid)
    .where('address', '=', address)
    .where('port_uuid', 'is not', null)
    .executeTakeFirst();
  if (held)
    throw networkConflict({
      why: `Current gateway ip ${address} already in use by port ${held.port_uuid}. Unable to update.`,
      type: 'GatewayIpInUse',
    });
}

export async function deleteSubnet(parts: NetworkParts, call: Call): Promise<Reply> {
  const { row, target } = await visibleSubnet(parts, call, call.params.id ?? '');
  must(call, 'delete_subnet', target);
  await parts.db.transaction(async (tx) => {
    if (await subnetIsUsed(tx, parts.db.kind, row.uuid)) throw subnetInUse({ id: row.uuid });
    const gone = await tx.deleteFrom('net_subnets').where('uuid', '=', row.uuid).executeTakeFirst();
    if (gone.numDeletedRows === 0n) throw subnetNotFound({ id: row.uuid });
    mustBeRevision(call, row);
    await tx.deleteFrom('net_addresses').where('subnet_uuid', '=', row.uuid).execute();
    await giveQuota(tx, row.project_id, 'subnet', 1);
  });
  return { status: 204 };
}
