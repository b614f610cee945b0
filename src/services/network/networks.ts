import { type Selectable, sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import { prepared } from '../../db/prepared.ts';
import { giveQuota, takeQuota } from '../../db/tables/network/quotas.ts';
import type { NetNetworksTable } from '../../db/tables/network/tables.ts';
import type { Call, Reply } from '../../http/call.ts';
import { networkConflict, networkInUse, networkNotFound } from '../../model/errors-network.ts';
import type { Target } from '../../model/policy.ts';
import { commonView, elevated, must, mustBeRevision, mustSee, ownerOf, pieces, touch, word } from './access.ts';
import { atCreate, bool, both, int, listOf, objectsIn, oneOfWords, orNull, readAttributes, text, type Values } from './attributes.ts';
import { boolColumn, commonColumns, intColumn, type Listing, listAnswer, listRows, selectFields, textColumn } from './listing.ts';
import type { NetworkParts } from './parts.ts';
import { resourceRow } from './resource-row.ts';

export type NetworkRow = Selectable<NetNetworksTable>;
const attributes = {
  name: both(text()),
  description: both(text()),
  project_id: atCreate(text()),
  tenant_id: atCreate(text()),
  admin_state_up: both(bool),
  shared: both(bool),
  'router:external': both(bool),
  is_default: both(bool),
  port_security_enabled: both(bool),
  mtu: both(int(0, 65_535)),
  dns_domain: both(text()),
  availability_zone_hints: both(listOf(text())),
  'provider:network_type': both(oneOfWords('local', 'flat', 'vlan', 'vxlan', 'gre', 'geneve')),
  'provider:physical_network': both(orNull(text(64))),
  'provider:segmentation_id': both(orNull(int(0, 16_777_215))),
};
type Wish = Values<typeof attributes>;
const DEFAULT_MTU = 1500;

export const networkListing: Listing = {
  table: 'net_networks',
  plural: 'networks',
  hasTags: true,
  columns: {
    ...commonColumns,
    admin_state_up: boolColumn('admin_state_up'),
    shared: boolColumn('shared'),
    'router:external': boolColumn('is_external'),
    is_default: boolColumn('is_default'),
    port_security_enabled: boolColumn('port_security'),
    mtu: intColumn('mtu'),
    dns_domain: textColumn('dns_domain'),
    'provider:network_type': textColumn('provider_type'),
    'provider:physical_network': textColumn('provider_physical'),
    'provider:segmentation_id': intColumn('provider_segment'),
  },
  special: {
    // Every network is ACTIVE: nothing of it has to be built first.
    status: (values) => (values.some((value) => value.toUpperCase() === 'ACTIVE') ? sql<boolean>`1 = 1` : sql<boolean>`1 = 0`),
  },
};

/** What policy rules may ask of a network. */
export const networkTarget = (row: NetworkRow): Target => ({
  project_id: row.project_id,
  tenant_id: row.project_id,
  shared: word(row.shared === 1),
  'router:external': word(row.is_external === 1),
  'network:project_id': row.project_id,
});

async function subnetsOf(db: Query, networks: readonly NetworkRow[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const some of pieces(networks.map((row) => row.uuid))) {
    const rows = await db
      .selectFrom('net_subnets')
      .select(['uuid', 'network_uuid'])
      .where('network_uuid', 'in', some)
      .orderBy('id')
      .execute();
    for (const row of rows) {
      const list = found.get(row.network_uuid);
      if (list) list.push(row.uuid);
      else found.set(row.network_uuid, [row.uuid]);
    }
  }
  return found;
}

function networkView(call: Call, row: NetworkRow, subnets: readonly string[]) {
  const provider = call.allows('get_network:provider', networkTarget(row));
  return {
    id: row.uuid,
    name: row.name,
    ...commonView(row),
    status: 'ACTIVE',
    admin_state_up: row.admin_state_up === 1,
    shared: row.shared === 1,
    'router:external': row.is_external === 1,
    ...(row.is_external === 1 ? { is_default: row.is_default === 1 } : {}),
    mtu: row.mtu,
    port_security_enabled: row.port_security === 1,
    subnets,
    availability_zone_hints: JSON.parse(row.zone_hints) as string[],
    availability_zones: [],
    ipv4_address_scope: null,
    ipv6_address_scope: null,
    tags: JSON.parse(row.tags) as string[],
    ...(provider
      ? {
          'provider:network_type': row.provider_type,
          'provider:physical_network': row.provider_physical,
          'provider:segmentation_id': row.provider_segment,
        }
      : {}),
  };
}

const networkById = prepared((db, p: { uuid: string }) => db.selectFrom('net_networks').selectAll().where('uuid', '=', p.uuid));
export const findNetwork = async (db: Query, uuid: string): Promise<NetworkRow | undefined> =>
  (await networkById(db, { uuid: uuid.toLowerCase() })).rows[0];

/** The network if the caller may see it. Throws networkNotFound (404) else. */
export async function visibleNetwork(parts: NetworkParts, call: Call, uuid: string): Promise<NetworkRow> {
  const row = await findNetwork(parts.db.read, uuid);
  const missing = () => networkNotFound({ id: uuid.slice(0, 100) });
  if (!row) throw missing();
  mustSee(call, 'get_network', networkTarget(row), missing);
  return row;
}

const show = async (parts: NetworkParts, call: Call, row: NetworkRow) =>
  networkView(call, row, (await subnetsOf(parts.db.read, [row])).get(row.uuid) ?? []);

export async function listNetworks(parts: NetworkParts, call: Call): Promise<Reply> {
  const mine = call.caller.projectId ?? '';
  const visible = elevated(call) ? [] : [sql<boolean>`(project_id = ${mine} or shared = 1 or is_external = 1)`];
  const { rows, links } = await listRows<NetworkRow>(parts.db, call, networkListing, visible);
  const subnets = await subnetsOf(parts.db.read, rows);
  return listAnswer(
    call,
    networkListing,
    rows.map((row) => networkView(call, row, subnets.get(row.uuid) ?? [])),
    links,
  );
}

export async function showNetwork(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleNetwork(parts, call, call.params.id ?? '');
  return { status: 200, body: { network: selectFields(call, await show(parts, call, row)) } };
}

/** Attributes only an operator may give, with their rules' names. */
function mustBeAllowed(call: Call, verb: 'create' | 'update', wish: Wish, target: Target): void {
  const guarded = {
    shared: wish.shared === true,
    'router:external': wish['router:external'] === true,
    is_default: wish.is_default === true,
  };
  for (const [name, given] of Object.entries(guarded)) if (given) must(call, `${verb}_network:${name}`, target);
  if (verb === 'update')
    for (const name of ['shared', 'router:external', 'is_default'] as const)
      if (wish[name] !== undefined) must(call, `${verb}_network:${name}`, target);
  if (wish.port_security_enabled !== undefined) must(call, `${verb}_network:port_security_enabled`, target);
  if (Object.keys(wish).some((name) => name.startsWith('provider:'))) must(call, `${verb}_network:provider`, target);
}

export async function createNetworks(parts: NetworkParts, call: Call): Promise<Reply> {
  const { items, bulk } = objectsIn(call.body, 'network', 'networks');
  const now = parts.clock.now();
  const rows = items.map((item) => {
    const wish = readAttributes(attributes, item, 'create');
    const projectId = ownerOf(call, wish);
    const target = { project_id: projectId, tenant_id: projectId };
    must(call, 'create_network', target);
    mustBeAllowed(call, 'create', wish, target);
    return newNetworkRow(projectId, wish, now);
  });
  await parts.db.transaction(async (tx) => {
    for (const row of rows) await takeQuota(tx, parts.db.kind, parts.quotas, row.project_id, 'network', 1);
    for (const row of rows) await tx.insertInto('net_networks').values(row).execute();
  });
  const views = rows.map((row) => networkView(call, { ...row, id: 0 }, []));
  return { status: 201, body: bulk ? { networks: views } : { network: views[0] } };
}

export function newNetworkRow(projectId: string, wish: Wish, now: number) {
  return {
    ...resourceRow(projectId, wish, now),
    admin_state_up: wish.admin_state_up === false ? 0 : 1,
    shared: wish.shared ? 1 : 0,
    is_external: wish['router:external'] ? 1 : 0,
    is_default: wish.is_default ? 1 : 0,
    port_security: wish.port_security_enabled === false ? 0 : 1,
    mtu: wish.mtu || DEFAULT_MTU,
    dns_domain: wish.dns_domain ?? '',
    zone_hints: JSON.stringify(wish.availability_zone_hints ?? []),
    provider_type: wish['provider:network_type'] ?? 'local',
    provider_physical: wish['provider:physical_network'] ?? null,
    provider_segment: wish['provider:segmentation_id'] ?? null,
    ports: 0,
  };
}

export async function updateNetwork(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleNetwork(parts, call, call.params.id ?? '');
  const { items } = objectsIn(call.body, 'network', 'network');
  const wish = readAttributes(attributes, items[0] ?? {}, 'update');
  const target = networkTarget(row);
  must(call, 'update_network', target);
  mustBeAllowed(call, 'update', wish, target);
  const flag = (value: boolean | undefined) => (value === undefined ? undefined : value ? 1 : 0);
  const set = given({
    name: wish.name,
    description: wish.description,
    admin_state_up: flag(wish.admin_state_up),
    shared: flag(wish.shared),
    is_external: flag(wish['router:external']),
    is_default: flag(wish.is_default),
    port_security: flag(wish.port_security_enabled),
    mtu: wish.mtu === undefined ? undefined : wish.mtu || DEFAULT_MTU,
    dns_domain: wish.dns_domain,
    zone_hints: wish.availability_zone_hints && JSON.stringify(wish.availability_zone_hints),
    provider_type: wish['provider:network_type'],
    provider_physical: wish['provider:physical_network'],
    provider_segment: wish['provider:segmentation_id'],
  });
  const fresh = await parts.db.transaction(async (tx) => {
    if (!(await touch(tx, 'net_networks', row.uuid, parts.clock.now()))) throw networkNotFound({ id: row.uuid });
    const locked = await findNetwork(tx, row.uuid);
    if (!locked) throw networkNotFound({ id: row.uuid });
    mustBeRevision(call, { revision: locked.revision - 1 });
    if (wish.shared === false && locked.shared === 1) await mustHaveNoForeignPorts(tx, locked);
    if (Object.keys(set).length > 0) await tx.updateTable('net_networks').set(set).where('uuid', '=', row.uuid).execute();
    return { ...locked, ...set };
  });
  return { status: 200, body: { network: await show(parts, call, fresh) } };
}

/** Only what was given. */
export const given = <T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> }; // the undefined ones are gone

async function mustHaveNoForeignPorts(tx: Query, network: NetworkRow): Promise<void> {
  const foreign = await tx
    .selectFrom('net_ports')
    .select('uuid')
    .where('network_uuid', '=', network.uuid)
    .where('project_id', '!=', network.project_id)
    .limit(1)
    .executeTakeFirst();
  if (foreign)
    throw networkConflict({
      why: `Unable to reconfigure sharing settings for network ${network.uuid}. Multiple tenants are using it.`,
      type: 'InvalidSharedSetting',
    });
}

export async function deleteNetwork(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleNetwork(parts, call, call.params.id ?? '');
  must(call, 'delete_network', networkTarget(row));
  await parts.db.transaction(async (tx) => {
    const gone = await tx.deleteFrom('net_networks').where('uuid', '=', row.uuid).where('ports', '=', 0).executeTakeFirst();
    if (gone.numDeletedRows === 0n) {
      const left = await findNetwork(tx, row.uuid);
      if (!left) throw networkNotFound({ id: row.uuid });
      throw networkInUse({ id: row.uuid, ports: left.ports });
    }
    mustBeRevision(call, row);
    // Only what this transaction deletes is given back: one of them may be deleted by itself at this moment.
    const subnets = await tx.deleteFrom('net_subnets').where('network_uuid', '=', row.uuid).returning(['uuid', 'project_id']).execute();
    for (const subnet of subnets) {
      await tx.deleteFrom('net_addresses').where('subnet_uuid', '=', subnet.uuid).execute();
      await giveQuota(tx, subnet.project_id, 'subnet', 1);
    }
    await giveQuota(tx, row.project_id, 'network', 1);
  });
  return { status: 204 };
}
