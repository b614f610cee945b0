import { sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import { giveQuota, takeQuota } from '../../db/tables/network/quotas.ts';
import type { Call, Reply } from '../../http/call.ts';
import { badNetworkInput, networkNotFound } from '../../model/errors-network.ts';
import { routerInUse } from '../../model/errors-routers.ts';
import { elevated, must, mustBeRevision, ownerOf } from './access.ts';
import {
  atCreate,
  bool,
  both,
  cidr,
  ip,
  listOf,
  needed,
  objectsIn,
  orNull,
  type Reader,
  readAttributes,
  record,
  text,
  unique,
  uuid,
  type Values,
} from './attributes.ts';
import { boolColumn, commonColumns, type Listing, listAnswer, listRows, selectFields } from './listing.ts';
import { given, visibleNetwork } from './networks.ts';
import type { NetworkParts } from './parts.ts';
import type { FixedIpWish } from './port-rows.ts';
import { resourceRow } from './resource-row.ts';
import { clearGateway, setGateway } from './router-gateway.ts';
import {
  type ExtraRoute,
  findRouter,
  gatewayAddresses,
  interfacesOf,
  lockRouter,
  mustBeGoodRoutes,
  type RouterRow,
  routerView,
  visibleRouter,
} from './router-rows.ts';

const routes = listOf(record({ destination: needed(cidr), nexthop: needed(ip) }), 1000);
const gatewayFields = record({
  network_id: needed(uuid),
  enable_snat: both(bool),
  external_fixed_ips: both(listOf(record({ subnet_id: both(uuid), ip_address: both(ip) }), 100)),
});
/** null and {} alike: no gateway. */
const gateway: Reader<ReturnType<typeof gatewayFields> | null> = (value, name) =>
  value !== null && typeof value === 'object' && Object.keys(value).length === 0 ? null : orNull(gatewayFields)(value, name);
const attributes = {
  name: both(text()),
  description: both(text()),
  project_id: atCreate(text()),
  tenant_id: atCreate(text()),
  admin_state_up: both(bool),
  external_gateway_info: both(gateway),
  distributed: both(bool),
  ha: both(bool),
  availability_zone_hints: atCreate(listOf(text())),
  flavor_id: atCreate(orNull(text())),
};
const updates = { ...attributes, routes: both(unique(routes)) };
type Wish = Values<typeof attributes>;

export const routerListing: Listing = {
  table: 'net_routers',
  plural: 'routers',
  hasTags: true,
  columns: {
    ...commonColumns,
    admin_state_up: boolColumn('admin_state_up'),
    distributed: boolColumn('distributed'),
    ha: boolColumn('ha'),
  },
  special: {
    // Every router is ACTIVE: nothing of it has to be built first.
    status: (values) => (values.some((value) => value.toUpperCase() === 'ACTIVE') ? sql<boolean>`1 = 1` : sql<boolean>`1 = 0`),
    flavor_id: (values) => (values.includes('') ? sql<boolean>`1 = 1` : sql<boolean>`1 = 0`),
  },
};

const show = async (parts: NetworkParts, call: Call, row: RouterRow) => routerView(call, row, await gatewayAddresses(parts.db.read, [row]));

export async function listRouters(parts: NetworkParts, call: Call): Promise<Reply> {
  const visible = elevated(call) ? [] : [sql<boolean>`project_id = ${call.caller.projectId ?? ''}`];
  const { rows, links } = await listRows<RouterRow>(parts.db, call, routerListing, visible);
  const gateways = await gatewayAddresses(parts.db.read, rows);
  return listAnswer(
    call,
    routerListing,
    rows.map((row) => routerView(call, row, gateways)),
    links,
  );
}

export async function showRouter(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleRouter(parts, call, call.params.id ?? '');
  return { status: 200, body: { router: selectFields(call, await show(parts, call, row)) } };
}

/** Attributes only an operator may give, and a gateway's network, which the caller must see and which must be external. */
async function mustBeAllowed(parts: NetworkParts, call: Call, verb: 'create' | 'update', wish: Wish, projectId: string): Promise<void> {
  const target = { project_id: projectId };
  for (const name of ['distributed', 'ha'] as const) if (wish[name] !== undefined) must(call, `${verb}_router:${name}`, target);
  const info = wish.external_gateway_info;
  if (!info) return;
  if (info.enable_snat !== undefined) must(call, `${verb}_router:external_gateway_info:enable_snat`, target);
  if (info.external_fixed_ips !== undefined) must(call, `${verb}_router:external_gateway_info:external_fixed_ips`, target);
  const network = await visibleNetwork(parts, call, info.network_id ?? '');
  if (network.is_external !== 1)
    throw badNetworkInput({
      why: `Bad router request: Network ${network.uuid} is not an external network.`,
      type: 'BadRequest',
    });
  if (network.uuid !== info.network_id) throw networkNotFound({ id: info.network_id ?? '' });
}

const gatewayWish = (info: NonNullable<Wish['external_gateway_info']>) => ({
  networkUuid: info.network_id ?? '',
  snat: info.enable_snat,
  fixedIps: info.external_fixed_ips as FixedIpWish[] | undefined,
});

export function newRouterRow(projectId: string, wish: Omit<Wish, 'external_gateway_info'>, now: number) {
  return {
    ...resourceRow(projectId, wish, now),
    admin_state_up: wish.admin_state_up === false ? 0 : 1,
    gateway_network_uuid: null,
    gateway_port_uuid: null,
    enable_snat: 1,
    routes: '[]',
    distributed: wish.distributed ? 1 : 0,
    ha: wish.ha ? 1 : 0,
    zone_hints: JSON.stringify(wish.availability_zone_hints ?? []),
  };
}

const contextOf = (parts: NetworkParts) => ({ kind: parts.db.kind, quotas: parts.quotas, now: parts.clock.now() });

export async function createRouters(parts: NetworkParts, call: Call): Promise<Reply> {
  const { items, bulk } = objectsIn(call.body, 'router', 'routers');
  const context = contextOf(parts);
  const wishes: { row: ReturnType<typeof newRouterRow>; info: Wish['external_gateway_info'] }[] = [];
  for (const item of items) {
    const wish = readAttributes(attributes, item, 'create');
    if (wish.flavor_id) throw badNetworkInput({ why: 'Router flavors are not served here: leave flavor_id out.' });
    const projectId = ownerOf(call, wish);
    must(call, 'create_router', { project_id: projectId });
    await mustBeAllowed(parts, call, 'create', wish, projectId);
    wishes.push({ row: newRouterRow(projectId, wish, context.now), info: wish.external_gateway_info });
  }
  const made = await parts.db.transaction(async (tx) => {
    const rows: RouterRow[] = [];
    for (const { row, info } of wishes) {
      await takeQuota(tx, context.kind, context.quotas, row.project_id, 'router', 1);
      await tx.insertInto('net_routers').values(row).execute();
      if (info) await setGateway(tx, context, { ...row, id: 0 }, gatewayWish(info));
      const kept = await findRouter(tx, row.uuid);
      if (kept) rows.push(kept);
    }
    return rows;
  });
  const gateways = await gatewayAddresses(parts.db.read, made);
  const views = made.map((row) => routerView(call, row, gateways));
  return { status: 201, body: bulk ? { routers: views } : { router: views[0] } };
}

export async function updateRouter(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleRouter(parts, call, call.params.id ?? '');
  const { items } = objectsIn(call.body, 'router', 'router');
  const wish = readAttributes(updates, items[0] ?? {}, 'update');
  must(call, 'update_router', { project_id: row.project_id });
  await mustBeAllowed(parts, call, 'update', wish, row.project_id);
  const context = contextOf(parts);
  const set = given({
    name: wish.name,
    description: wish.description,
    admin_state_up: wish.admin_state_up === undefined ? undefined : wish.admin_state_up ? 1 : 0,
    distributed: wish.distributed === undefined ? undefined : wish.distributed ? 1 : 0,
    ha: wish.ha === undefined ? undefined : wish.ha ? 1 : 0,
    routes: wish.routes && JSON.stringify(wish.routes),
  });
  const fresh = await parts.db.transaction(async (tx) => {
    const locked = await lockRouter(tx, row.uuid, context.now);
    mustBeRevision(call, { revision: locked.revision - 1 });
    if (wish.external_gateway_info) await setGateway(tx, context, locked, gatewayWish(wish.external_gateway_info));
    else if (wish.external_gateway_info === null) await clearGateway(tx, locked);
    if (wish.routes) await mustBeGoodRoutes(tx, (await findRouter(tx, row.uuid)) ?? locked, wish.routes as ExtraRoute[]);
    if (Object.keys(set).length > 0) await tx.updateTable('net_routers').set(set).where('uuid', '=', row.uuid).execute();
    return (await findRouter(tx, row.uuid)) ?? locked;
  });
  return { status: 200, body: { router: await show(parts, call, fresh) } };
}

export async function deleteRouter(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleRouter(parts, call, call.params.id ?? '');
  must(call, 'delete_router', { project_id: row.project_id });
  await parts.db.transaction(async (tx) => {
    mustBeRevision(call, row);
    const locked = await lockRouter(tx, row.uuid, parts.clock.now());
    if ((await interfacesOf(tx, row.uuid)).length > 0) throw routerInUse({ id: row.uuid, why: 'still has ports' });
    await clearGateway(tx, locked);
    await tx.deleteFrom('net_routers').where('uuid', '=', row.uuid).execute();
    await giveQuota(tx, row.project_id, 'router', 1);
  });
  return { status: 204 };
}

const routeKey = (route: ExtraRoute) => `${route.destination} ${route.nexthop}`;
/** `PUT /v2.0/routers/{id}/add_extraroutes` and `remove_extraroutes`: routes one by one, others stay. */
const changeRoutes =
  (
    rule: string,
    alter: (tx: Query, router: RouterRow, old: readonly ExtraRoute[], named: readonly ExtraRoute[]) => Promise<ExtraRoute[]>,
  ) =>
  async (parts: NetworkParts, call: Call): Promise<Reply> => {
    const row = await visibleRouter(parts, call, call.params.id ?? '');
    must(call, rule, { project_id: row.project_id });
    const { items } = objectsIn(call.body, 'router', 'router');
    const named = (readAttributes({ routes: both(routes) }, items[0] ?? {}, 'update').routes ?? []) as ExtraRoute[];
    const fresh = await parts.db.transaction(async (tx) => {
      const locked = await lockRouter(tx, row.uuid, parts.clock.now());
      const next = JSON.stringify(await alter(tx, locked, JSON.parse(locked.routes) as ExtraRoute[], named));
      await tx.updateTable('net_routers').set({ routes: next }).where('uuid', '=', row.uuid).execute();
      return { ...locked, routes: next };
    });
    return { status: 200, body: { router: await show(parts, call, fresh) } };
  };
export const addExtraRoutes = changeRoutes('add_extraroutes', async (tx, router, old, named) => {
  const all = [...new Map([...old, ...named].map((route) => [routeKey(route), route])).values()];
  await mustBeGoodRoutes(tx, router, all);
  return all;
});
export const removeExtraRoutes = changeRoutes('remove_extraroutes', async (_tx, _router, old, named) => {
  const gone = new Set(named.map(routeKey));
  return old.filter((route) => !gone.has(routeKey(route)));
});
