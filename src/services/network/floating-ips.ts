import { type Selectable, sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import { giveQuota, takeQuota } from '../../db/tables/network/quotas.ts';
import type { NetFloatingIpsTable } from '../../db/tables/network/tables.ts';
import { isUniqueViolation } from '../../db/unique.ts';
import type { Call, Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { badNetworkInput, portNotFound } from '../../model/errors-network.ts';
import { floatingIpAssociated, floatingIpNotFound, noWayOut } from '../../model/errors-routers.ts';
import { commonView, elevated, must, mustBeRevision, mustSee, ownerOf, pieces, touch } from './access.ts';
import { atCreate, both, ip, needed, objectsIn, orNull, readAttributes, text, uuid, type Values } from './attributes.ts';
import type { GroupContext } from './default-group.ts';
import { FLOATING_IP, routerBetween } from './floating-links.ts';
import { commonColumns, type Listing, listAnswer, listRows, selectFields, textColumn } from './listing.ts';
import { given, visibleNetwork } from './networks.ts';
import type { NetworkParts } from './parts.ts';
import { type FixedIpWish, insertPort, lockPort, type PortRow, removePort, servicePort, subnetsOf } from './port-rows.ts';
import { visiblePort } from './ports.ts';
import { addressesOf, lockRouter } from './router-rows.ts';
import { tellOfPorts } from './server-events.ts';

export type FloatingIpRow = Selectable<NetFloatingIpsTable>;
const attributes = {
  floating_network_id: needed(uuid),
  project_id: atCreate(text()),
  tenant_id: atCreate(text()),
  description: both(text()),
  port_id: both(orNull(uuid)),
  fixed_ip_address: both(orNull(ip)),
  floating_ip_address: atCreate(orNull(ip)),
  subnet_id: atCreate(orNull(uuid)),
};
type Wish = Values<typeof attributes>;
const badRequest = (why: string) => badNetworkInput({ why: `Bad floatingip request: ${why}.`, type: 'BadRequest' });

const { name: _noName, ...columns } = commonColumns;
export const floatingIpListing: Listing = {
  table: 'net_floating_ips',
  plural: 'floatingips',
  hasTags: true,
  columns: {
    ...columns,
    floating_network_id: textColumn('network_uuid'),
    floating_ip_address: textColumn('address'),
    fixed_ip_address: textColumn('fixed_address'),
    port_id: textColumn('fixed_port_uuid'),
    router_id: textColumn('router_uuid'),
  },
  special: {
    status: (values) => {
      const either = values.map((value) =>
        value.toUpperCase() === 'ACTIVE'
          ? sql`fixed_port_uuid is not null`
          : value.toUpperCase() === 'DOWN'
            ? sql`fixed_port_uuid is null`
            : sql`1 = 0`,
      );
      return sql<boolean>`(${sql.join(either, sql` or `)})`;
    },
  },
};

function floatingIpView(row: FloatingIpRow, ports: ReadonlyMap<string, PortRow>) {
  const port = ports.get(row.fixed_port_uuid ?? '');
  return {
    id: row.uuid,
    ...commonView(row),
    floating_network_id: row.network_uuid,
    floating_ip_address: row.address,
    fixed_ip_address: row.fixed_address,
    port_id: row.fixed_port_uuid,
    router_id: row.router_uuid,
    status: row.fixed_port_uuid === null ? 'DOWN' : 'ACTIVE',
    tags: JSON.parse(row.tags) as string[],
    port_details: port
      ? {
          name: port.name,
          network_id: port.network_uuid,
          mac_address: port.mac,
          admin_state_up: port.admin_state_up === 1,
          status: port.status,
          device_id: port.device_id,
          device_owner: port.device_owner,
        }
      : null,
  };
}

async function portsOf(db: Query, rows: readonly FloatingIpRow[]): Promise<ReadonlyMap<string, PortRow>> {
  const found = new Map<string, PortRow>();
  const ids = rows.flatMap((row) => (row.fixed_port_uuid === null ? [] : [row.fixed_port_uuid]));
  for (const some of pieces(ids))
    for (const port of await db.selectFrom('net_ports').selectAll().where('uuid', 'in', some).execute()) found.set(port.uuid, port);
  return found;
}

export async function listFloatingIps(parts: NetworkParts, call: Call): Promise<Reply> {
  const visible = elevated(call) ? [] : [sql<boolean>`project_id = ${call.caller.projectId ?? ''}`];
  const { rows, links } = await listRows<FloatingIpRow>(parts.db, call, floatingIpListing, visible);
  const ports = await portsOf(parts.db.read, rows);
  return listAnswer(
    call,
    floatingIpListing,
    rows.map((row) => floatingIpView(row, ports)),
    links,
  );
}

const findFloatingIp = (db: Query, id: string): Promise<FloatingIpRow | undefined> =>
  db.selectFrom('net_floating_ips').selectAll().where('uuid', '=', id.toLowerCase()).executeTakeFirst();

export async function visibleFloatingIp(parts: NetworkParts, call: Call, id: string): Promise<FloatingIpRow> {
  const row = await findFloatingIp(parts.db.read, id);
  const missing = () => floatingIpNotFound({ id: id.slice(0, 100) });
  if (!row) throw missing();
  mustSee(call, 'get_floatingip', { project_id: row.project_id }, missing);
  return row;
}

export async function showFloatingIp(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleFloatingIp(parts, call, call.params.id ?? '');
  return { status: 200, body: { floatingip: selectFields(call, floatingIpView(row, await portsOf(parts.db.read, [row]))) } };
}

/** The fixed address of a port that a floating one is to lead to. Throws BadRequest (400). */
function chooseFixed(port: PortRow, asked: string | null | undefined) {
  const all = addressesOf(port).filter((fixed) => !fixed.ip_address.includes(':'));
  if (asked) {
    const found = all.find((fixed) => fixed.ip_address === asked);
    if (!found) throw badRequest(`Port ${port.uuid} does not have fixed ip ${asked}`);
    return found;
  }
  const [first, second] = all;
  if (!first) throw badRequest(`Cannot add floating IP to port ${port.uuid} that has no fixed IPv4 addresses`);
  if (second)
    throw badRequest(
      `Port ${port.uuid} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when assigning a floating IP`,
    );
  return first;
}

/** Leads a floating address to a port, under the locks of the port and of the router between them. */
async function associate(tx: Query, context: GroupContext, row: FloatingIpRow, portUuid: string, fixedAddress: string | null | undefined) {
  const port = await lockPort(tx, portUuid, context.now);
  if (!port) throw portNotFound({ id: portUuid });
  const fixed = chooseFixed(port, fixedAddress);
  const missing = () => noWayOut({ network: row.network_uuid, subnet: fixed.subnet_id, port: port.uuid });
  const router = await routerBetween(tx, fixed.subnet_id, row.network_uuid);
  if (router === undefined) throw missing();
  const locked = await lockRouter(tx, router, context.now);
  if (locked.gateway_network_uuid !== row.network_uuid) throw missing();
  const set = { router_uuid: router, fixed_port_uuid: port.uuid, fixed_address: fixed.ip_address };
  try {
    await tx.updateTable('net_floating_ips').set(set).where('uuid', '=', row.uuid).execute();
  } catch (cause) {
    if (!isUniqueViolation(cause)) throw cause;
    throw floatingIpAssociated({ address: row.address, id: row.uuid, port: port.uuid, fixed: fixed.ip_address, network: row.network_uuid });
  }
  return { row: { ...row, ...set }, port };
}

/** Throws 404 for a port the caller cannot see, BadRequest (400) for another project's. */
async function mustBeUsable(parts: NetworkParts, call: Call, portUuid: string, projectId: string): Promise<void> {
  const { row } = await visiblePort(parts, call, portUuid);
  if (row.project_id !== projectId && !elevated(call)) throw badRequest(`Port ${portUuid} is owned by a different project`);
}

function fixedIpsOf(wish: Wish): FixedIpWish[] | undefined {
  if (!wish.floating_ip_address && !wish.subnet_id) return undefined;
  return [
    {
      ...(wish.subnet_id ? { subnet_id: wish.subnet_id } : {}),
      ...(wish.floating_ip_address ? { ip_address: wish.floating_ip_address } : {}),
    },
  ];
}

async function insertFloatingIp(tx: Query, context: GroupContext, projectId: string, wish: Wish): Promise<FloatingIpRow> {
  const uuid = newUuid();
  const networkUuid = wish.floating_network_id ?? '';
  await takeQuota(tx, context.kind, context.quotas, projectId, 'floatingip', 1);
  if (!(await subnetsOf(tx, networkUuid)).some((subnet) => subnet.ip_version === 4))
    throw badRequest(`Network ${networkUuid} does not contain any IPv4 subnet`);
  const port = await insertPort(tx, context, {
    ...servicePort({ networkUuid, deviceId: uuid, deviceOwner: FLOATING_IP, fixedIps: fixedIpsOf(wish) }),
    families: [4],
  });
  const row = {
    uuid,
    project_id: projectId,
    description: wish.description ?? '',
    tags: '[]',
    revision: 1,
    created_at: context.now,
    updated_at: context.now,
    network_uuid: networkUuid,
    port_uuid: port.uuid,
    address: addressesOf(port)[0]?.ip_address ?? '',
    router_uuid: null,
    fixed_port_uuid: null,
    fixed_address: null,
  };
  await tx.insertInto('net_floating_ips').values(row).execute();
  return { id: 0, ...row };
}

export async function createFloatingIps(parts: NetworkParts, call: Call): Promise<Reply> {
  const { items, bulk } = objectsIn(call.body, 'floatingip', 'floatingips');
  const wishes: { wish: Wish; projectId: string }[] = [];
  for (const item of items) {
    const wish = readAttributes(attributes, item, 'create');
    const projectId = ownerOf(call, wish);
    must(call, 'create_floatingip', { project_id: projectId });
    if (wish.floating_ip_address) must(call, 'create_floatingip:floating_ip_address', { project_id: projectId });
    const network = await visibleNetwork(parts, call, wish.floating_network_id ?? '');
    if (network.is_external !== 1) throw badRequest(`Network ${network.uuid} is not a valid external network`);
    if (wish.fixed_ip_address && !wish.port_id) throw badRequest('fixed_ip_address cannot be specified without a port_id');
    if (wish.port_id) await mustBeUsable(parts, call, wish.port_id, projectId);
    wishes.push({ wish, projectId });
  }
  const context = { kind: parts.db.kind, quotas: parts.quotas, now: parts.clock.now() };
  const made = await parts.db.transaction(async (tx) => {
    const done: { row: FloatingIpRow; port?: PortRow }[] = [];
    for (const { wish, projectId } of wishes) {
      const row = await insertFloatingIp(tx, context, projectId, wish);
      done.push(wish.port_id ? await associate(tx, context, row, wish.port_id, wish.fixed_ip_address) : { row });
    }
    return done;
  });
  tellOfPorts(
    parts,
    call,
    'network-changed',
    made.map(({ port }) => port),
  );
  const views = made.map(({ row, port }) => floatingIpView(row, new Map(port ? [[port.uuid, port]] : [])));
  return { status: 201, body: bulk ? { floatingips: views } : { floatingip: views[0] } };
}

export async function updateFloatingIp(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleFloatingIp(parts, call, call.params.id ?? '');
  const { items } = objectsIn(call.body, 'floatingip', 'floatingip');
  const wish = readAttributes(attributes, items[0] ?? {}, 'update');
  must(call, 'update_floatingip', { project_id: row.project_id });
  const target = wish.port_id === undefined && wish.fixed_ip_address ? row.fixed_port_uuid : wish.port_id;
  if (wish.fixed_ip_address && !target) throw badRequest('fixed_ip_address cannot be specified without a port_id');
  if (target) await mustBeUsable(parts, call, target, row.project_id);
  const context = { kind: parts.db.kind, quotas: parts.quotas, now: parts.clock.now() };
  const { fresh, old } = await parts.db.transaction(async (tx) => {
    if (!(await touch(tx, 'net_floating_ips', row.uuid, context.now))) throw floatingIpNotFound({ id: row.uuid });
    const locked = await findFloatingIp(tx, row.uuid);
    if (!locked) throw floatingIpNotFound({ id: row.uuid });
    mustBeRevision(call, { revision: locked.revision - 1 });
    const set = given({ description: wish.description });
    if (target === undefined) {
      if (set.description !== undefined) await tx.updateTable('net_floating_ips').set(set).where('uuid', '=', row.uuid).execute();
      return { fresh: { ...locked, ...set }, old: null };
    }
    const free = { ...set, router_uuid: null, fixed_port_uuid: null, fixed_address: null };
    await tx.updateTable('net_floating_ips').set(free).where('uuid', '=', row.uuid).execute();
    const changed = { ...locked, ...free };
    if (target === null) return { fresh: changed, old: locked.fixed_port_uuid };
    return { fresh: (await associate(tx, context, changed, target, wish.fixed_ip_address)).row, old: locked.fixed_port_uuid };
  });
  const ports = await portsOf(parts.db.read, [fresh, { ...fresh, fixed_port_uuid: old }]);
  if (target !== undefined) tellOfPorts(parts, call, 'network-changed', [...ports.values()]);
  return { status: 200, body: { floatingip: floatingIpView(fresh, ports) } };
}

export async function deleteFloatingIp(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleFloatingIp(parts, call, call.params.id ?? '');
  must(call, 'delete_floatingip', { project_id: row.project_id });
  const ports = await portsOf(parts.db.read, [row]);
  await parts.db.transaction(async (tx) => {
    mustBeRevision(call, row);
    const gone = await tx.deleteFrom('net_floating_ips').where('uuid', '=', row.uuid).executeTakeFirst();
    if (gone.numDeletedRows === 0n) throw floatingIpNotFound({ id: row.uuid });
    await giveQuota(tx, row.project_id, 'floatingip', 1);
    const port = await tx.selectFrom('net_ports').selectAll().where('uuid', '=', row.port_uuid).executeTakeFirst();
    if (port) await removePort(tx, port);
  });
  tellOfPorts(parts, call, 'network-changed', [...ports.values()]);
  return { status: 204 };
}
