import { type RawBuilder, sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { badNetworkInput, macInUse, networkNotFound, portNotFound } from '../../model/errors-network.ts';
import { portServesNetwork } from '../../model/errors-routers.ts';
import { formatIp, parseIp } from '../../model/ip-address.ts';
import type { Target } from '../../model/policy.ts';
import { commonView, elevated, must, mustBeRevision, mustSee, ownerOf, word } from './access.ts';
import {
  atCreate,
  bool,
  both,
  cidr,
  dictionary,
  ip,
  listOf,
  mac,
  needed,
  objectsIn,
  oneOfWords,
  orNull,
  type Reader,
  readAttributes,
  record,
  tag,
  text,
  unique,
  uuid,
  type Values,
} from './attributes.ts';
import type { GroupContext } from './default-group.ts';
import { FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE } from './floating-links.ts';
import { boolColumn, commonColumns, holds, type Listing, listAnswer, listRows, selectFields, textColumn } from './listing.ts';
import { findNetwork, given, type NetworkRow, visibleNetwork } from './networks.ts';
import type { NetworkParts } from './parts.ts';
import {
  changeAddresses,
  checkGroups,
  type FixedIp,
  type FixedIpWish,
  insertPort,
  lockPort,
  type PortRow,
  type PortWish,
  portStatus,
  removePort,
  useGroups,
} from './port-rows.ts';
import { tellOfPorts } from './server-events.ts';

const ipOrCidr: Reader<string> = (value, name) => (typeof value === 'string' && value.includes('/') ? cidr(value, name) : ip(value, name));
const attributes = {
  network_id: needed(uuid),
  name: both(text()),
  description: both(text()),
  project_id: atCreate(text()),
  tenant_id: atCreate(text()),
  admin_state_up: both(bool),
  mac_address: both(mac),
  fixed_ips: both(listOf(record({ subnet_id: both(uuid), ip_address: both(ip) }), 100)),
  device_id: both(orNull(text())),
  device_owner: both(orNull(text())),
  security_groups: both(listOf(uuid, 100)),
  allowed_address_pairs: both(unique(listOf(record({ ip_address: needed(ipOrCidr), mac_address: both(mac) }), 100))),
  port_security_enabled: both(bool),
  'binding:host_id': both(orNull(text())),
  'binding:vnic_type': both(
    oneOfWords('normal', 'direct', 'macvtap', 'baremetal', 'direct-physical', 'virtio-forwarder', 'smart-nic', 'remote-managed', 'vdpa'),
  ),
  'binding:profile': both(dictionary(4095)),
  tags: atCreate(unique(listOf(tag, 50))),
};
type Wish = Values<typeof attributes>;

function fixedIpFilter(values: readonly string[]): RawBuilder<boolean> {
  const each = values.map((value) => {
    const [key, asked = ''] = value.split(/=(.*)/s);
    if (key === 'ip_address') {
      const address = parseIp(asked);
      const canonical = address ? formatIp(address.version, address.value) : asked;
      return sql<boolean>`uuid in (select port_uuid from net_addresses where address = ${canonical} and port_uuid is not null)`;
    }
    if (key === 'subnet_id')
      return sql<boolean>`uuid in (select port_uuid from net_addresses where subnet_uuid = ${asked} and port_uuid is not null)`;
    if (key === 'ip_address_substr')
      return sql<boolean>`uuid in (select port_uuid from net_addresses where port_uuid is not null and address like ${`%${asked.replaceAll(/[%_\\]/g, '')}%`})`;
    throw invalidInput({ why: `Invalid input for fixed_ips. Reason: '${value.slice(0, 60)}' is not ip_address=... or subnet_id=... .` });
  });
  return sql<boolean>`(${sql.join(each, sql` and `)})`;
}

export const portListing: Listing = {
  table: 'net_ports',
  plural: 'ports',
  hasTags: true,
  columns: {
    ...commonColumns,
    network_id: textColumn('network_uuid'),
    mac_address: textColumn('mac'),
    admin_state_up: boolColumn('admin_state_up'),
    status: textColumn('status'),
    device_id: textColumn('device_id'),
    device_owner: textColumn('device_owner'),
    'binding:host_id': textColumn('host'),
    'binding:vnic_type': textColumn('vnic_type'),
    port_security_enabled: boolColumn('port_security'),
  },
  special: {
    fixed_ips: fixedIpFilter,
    security_groups: (values, kind) =>
      sql<boolean>`(${sql.join(
        values.map((id) => holds(kind, 'security_groups', JSON.stringify(id))),
        sql` or `,
      )})`,
    security_group_id: (values, kind) =>
      sql<boolean>`(${sql.join(
        values.map((id) => holds(kind, 'security_groups', JSON.stringify(id))),
        sql` or `,
      )})`,
  },
};

const portTarget = (row: { project_id: string; device_owner: string }, network: Pick<NetworkRow, 'project_id' | 'shared'>): Target => ({
  project_id: row.project_id,
  tenant_id: row.project_id,
  'network:project_id': network.project_id,
  shared: word(network.shared === 1),
  network_device: word(row.device_owner.startsWith('network:')),
});

export function portView(call: Call, row: PortRow) {
  const bound = row.host !== '';
  return {
    id: row.uuid,
    name: row.name,
    ...commonView(row),
    network_id: row.network_uuid,
    mac_address: row.mac,
    admin_state_up: row.admin_state_up === 1,
    status: row.status,
    device_id: row.device_id,
    device_owner: row.device_owner,
    fixed_ips: JSON.parse(row.fixed_ips) as FixedIp[],
    security_groups: JSON.parse(row.security_groups) as string[],
    allowed_address_pairs: JSON.parse(row.address_pairs) as object[],
    port_security_enabled: row.port_security === 1,
    'binding:vnic_type': row.vnic_type,
    tags: JSON.parse(row.tags) as string[],
    ...(call.allows('get_port:binding', { project_id: row.project_id })
      ? {
          'binding:host_id': row.host,
          'binding:profile': JSON.parse(row.profile) as object,
          'binding:vif_type': bound ? 'other' : 'unbound',
          'binding:vif_details': bound ? { port_filter: false } : {},
        }
      : {}),
  };
}

export async function visiblePort(
  parts: NetworkParts,
  call: Call,
  id: string,
): Promise<{ row: PortRow; network: NetworkRow; target: Target }> {
  const row = await parts.db.read.selectFrom('net_ports').selectAll().where('uuid', '=', id.toLowerCase()).executeTakeFirst();
  const network = row && (await findNetwork(parts.db.read, row.network_uuid));
  const missing = () => portNotFound({ id: id.slice(0, 100) });
  if (!row || !network) throw missing();
  const target = portTarget(row, network);
  mustSee(call, 'get_port', target, missing);
  return { row, network, target };
}

export async function listPorts(parts: NetworkParts, call: Call): Promise<Reply> {
  const mine = call.caller.projectId ?? '';
  const visible = elevated(call)
    ? []
    : [sql<boolean>`(project_id = ${mine} or network_uuid in (select uuid from net_networks where project_id = ${mine}))`];
  const { rows, links } = await listRows<PortRow>(parts.db, call, portListing, visible);
  return listAnswer(
    call,
    portListing,
    rows.map((row) => portView(call, row)),
    links,
  );
}

export async function showPort(parts: NetworkParts, call: Call): Promise<Reply> {
  const { row } = await visiblePort(parts, call, call.params.id ?? '');
  return { status: 200, body: { port: selectFields(call, portView(call, row)) } };
}

/** Attributes with a rule of their own. */
function mustBeAllowed(call: Call, verb: 'create' | 'update', wish: Wish, target: Target): void {
  const ask = (name: string) => must(call, `${verb}_port:${name}`, target);
  if (wish.device_owner) ask('device_owner');
  for (const name of ['mac_address', 'port_security_enabled', 'binding:host_id', 'binding:profile', 'binding:vnic_type'] as const)
    if (wish[name] !== undefined && wish[name] !== null) ask(name);
  if (wish.allowed_address_pairs && wish.allowed_address_pairs.length > 0) ask('allowed_address_pairs');
  if (wish.fixed_ips) {
    ask('fixed_ips');
    if (wish.fixed_ips.some((fixed) => fixed.ip_address !== undefined)) ask('fixed_ips:ip_address');
  }
}

function portWish(call: Call, wish: Wish, network: NetworkRow): PortWish {
  const projectId = ownerOf(call, wish);
  const target = portTarget({ project_id: projectId, device_owner: wish.device_owner ?? '' }, network);
  must(call, 'create_port', target);
  mustBeAllowed(call, 'create', wish, target);
  const all = elevated(call);
  // Seeing an external network is no right to plug into it.
  if (!all && network.shared === 0 && network.project_id !== projectId) throw networkNotFound({ id: network.uuid });
  const portSecurity = wish.port_security_enabled ?? network.port_security === 1;
  const pairs = wish.allowed_address_pairs ?? [];
  if (pairs.length > 0 && !portSecurity)
    throw badNetworkInput({
      why: 'Allowed address pairs require port security to be enabled.',
      type: 'AddressPairAndPortSecurityRequired',
    });
  return {
    projectId,
    networkUuid: network.uuid,
    name: wish.name ?? '',
    description: wish.description ?? '',
    adminStateUp: wish.admin_state_up !== false,
    mac: wish.mac_address,
    fixedIps: wish.fixed_ips as FixedIpWish[] | undefined,
    deviceId: wish.device_id ?? '',
    deviceOwner: wish.device_owner ?? '',
    host: wish['binding:host_id'] ?? '',
    vnicType: wish['binding:vnic_type'] ?? 'normal',
    profile: wish['binding:profile'] ?? {},
    securityGroups: wish.security_groups,
    anyGroup: all,
    addressPairs: pairs,
    portSecurity,
    tags: [...(wish.tags ?? [])].sort(),
  };
}

export async function createPorts(parts: NetworkParts, call: Call): Promise<Reply> {
  const { items, bulk } = objectsIn(call.body, 'port', 'ports');
  const wishes: PortWish[] = [];
  const networks = new Map<string, NetworkRow>();
  for (const item of items) {
    const wish = readAttributes(attributes, item, 'create');
    const id = wish.network_id ?? '';
    const network = networks.get(id) ?? (await visibleNetwork(parts, call, id));
    networks.set(id, network);
    wishes.push(portWish(call, wish, network));
  }
  const rows = await makePorts(parts, wishes);
  const views = rows.map((row) => portView(call, row));
  return { status: 201, body: bulk ? { ports: views } : { port: views[0] } };
}

/** Makes all of the ports or none, in one transaction. */
export function makePorts(parts: NetworkParts, wishes: readonly PortWish[]): Promise<PortRow[]> {
  const context: GroupContext = { kind: parts.db.kind, quotas: parts.quotas, now: parts.clock.now() };
  return parts.db.transaction(async (tx) => {
    const rows: PortRow[] = [];
    for (const wish of wishes) rows.push(await insertPort(tx, context, wish));
    return rows;
  });
}

export async function updatePort(parts: NetworkParts, call: Call): Promise<Reply> {
  const { row, target } = await visiblePort(parts, call, call.params.id ?? '');
  const { items } = objectsIn(call.body, 'port', 'port');
  const wish = readAttributes(attributes, items[0] ?? {}, 'update');
  must(call, 'update_port', target);
  mustBeAllowed(
    call,
    'update',
    wish,
    wish.device_owner ? { ...target, network_device: word(wish.device_owner.startsWith('network:')) } : target,
  );
  const context: GroupContext = { kind: parts.db.kind, quotas: parts.quotas, now: parts.clock.now() };
  const anyGroup = elevated(call);
  const fresh = await parts.db.transaction(async (tx) => {
    const locked = await lockPort(tx, row.uuid, context.now);
    if (!locked) throw portNotFound({ id: row.uuid });
    mustBeRevision(call, { revision: locked.revision - 1 });
    const moves = [wish.device_id ?? locked.device_id, wish.device_owner ?? locked.device_owner];
    if (moves[0] !== locked.device_id || moves[1] !== locked.device_owner) await mustNotServe(tx, locked, 'moved');
    return changePort(tx, context, locked, wish, anyGroup);
  });
  if (fresh.fixed_ips !== row.fixed_ips || fresh.security_groups !== row.security_groups)
    tellOfPorts(parts, call, 'network-changed', [fresh]);
  if (row.device_id !== '' && fresh.device_id !== row.device_id) tellOfPorts(parts, call, 'network-vif-deleted', [row]);
  return { status: 200, body: { port: portView(call, fresh) } };
}

async function changePort(tx: Query, context: GroupContext, port: PortRow, wish: Wish, anyGroup: boolean): Promise<PortRow> {
  const portSecurity = wish.port_security_enabled === undefined ? port.port_security === 1 : wish.port_security_enabled;
  const groups = await changeGroups(tx, port, wish, portSecurity, anyGroup);
  const pairs = wish.allowed_address_pairs ?? (JSON.parse(port.address_pairs) as object[]);
  if (pairs.length > 0 && !portSecurity)
    throw badNetworkInput({
      why: 'Allowed address pairs require port security to be enabled.',
      type: 'AddressPairAndPortSecurityRequired',
    });
  if (wish.mac_address !== undefined && wish.mac_address !== port.mac) await mustBeFreeMac(tx, port, wish.mac_address);
  const mac = wish.mac_address ?? port.mac;
  const fixed = wish.fixed_ips ? await changeAddresses(tx, context, { ...port, mac }, wish.fixed_ips as FixedIpWish[]) : undefined;
  const text = (value: string | null | undefined) => (value === undefined ? undefined : (value ?? ''));
  const set = given({
    name: wish.name,
    description: wish.description,
    admin_state_up: wish.admin_state_up === undefined ? undefined : wish.admin_state_up ? 1 : 0,
    mac: wish.mac_address,
    fixed_ips: fixed && JSON.stringify(fixed),
    device_id: text(wish.device_id),
    device_owner: text(wish.device_owner),
    host: text(wish['binding:host_id']),
    vnic_type: wish['binding:vnic_type'],
    profile: wish['binding:profile'] && JSON.stringify(wish['binding:profile']),
    security_groups: groups && JSON.stringify(groups),
    address_pairs: wish.allowed_address_pairs && JSON.stringify(pairs),
    port_security: wish.port_security_enabled === undefined ? undefined : portSecurity ? 1 : 0,
  });
  const changed = { ...port, ...set };
  const status = portStatus(changed);
  await tx
    .updateTable('net_ports')
    .set({ ...set, status })
    .where('uuid', '=', port.uuid)
    .execute();
  return { ...changed, status };
}

async function changeGroups(
  tx: Query,
  port: PortRow,
  wish: Wish,
  portSecurity: boolean,
  anyGroup: boolean,
): Promise<readonly string[] | undefined> {
  const old = JSON.parse(port.security_groups) as string[];
  const asked = wish.security_groups;
  if (!portSecurity && (asked ?? old).length > 0)
    throw badNetworkInput({
      why: 'Port has security group associated. Cannot disable port security until security group is removed.',
      type: 'PortSecurityPortHasSecurityGroup',
    });
  if (asked === undefined) return undefined;
  const kept = asked.filter((id) => old.includes(id));
  const added = await checkGroups(
    tx,
    asked.filter((id) => !old.includes(id)),
    anyGroup ? undefined : port.project_id,
  );
  await useGroups(tx, added, 1);
  await useGroups(
    tx,
    old.filter((id) => !kept.includes(id)),
    -1,
  );
  return [...new Set([...kept, ...added])];
}

async function mustBeFreeMac(tx: Query, port: PortRow, wanted: string): Promise<void> {
  const other = await tx
    .selectFrom('net_ports')
    .select('uuid')
    .where('network_uuid', '=', port.network_uuid)
    .where('mac', '=', wanted)
    .executeTakeFirst();
  if (other) throw macInUse({ network: port.network_uuid, mac: wanted });
}

export async function deletePort(parts: NetworkParts, call: Call): Promise<Reply> {
  const { row, target } = await visiblePort(parts, call, call.params.id ?? '');
  must(call, 'delete_port', target);
  await parts.db.transaction(async (tx) => {
    mustBeRevision(call, row);
    await mustNotServe(tx, row, 'deleted');
    await removePort(tx, row);
  });
  tellOfPorts(parts, call, 'network-vif-deleted', [row]);
  return { status: 204 };
}

const SERVING = [ROUTER_INTERFACE, ROUTER_GATEWAY, FLOATING_IP];
/** Throws portServesNetwork (409) for a port that a router or a floating address stands on. */
async function mustNotServe(tx: Query, port: PortRow, verb: string): Promise<void> {
  if (!SERVING.includes(port.device_owner)) return;
  const table = port.device_owner === FLOATING_IP ? 'net_floating_ips' : 'net_routers';
  const device = await tx.selectFrom(table).select('uuid').where('uuid', '=', port.device_id).executeTakeFirst();
  if (device) throw portServesNetwork({ id: port.uuid, owner: port.device_owner, verb });
}
