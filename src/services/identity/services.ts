import { type Call, one, type Reply, type RouteTable } from '../../http/call.ts';
import { newHexId } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { builtInCatalog, identityConflict, identityNotFound } from '../../model/errors-identity.ts';
import { enabledSchema, extraOf, idSchema, textSchema, wrapped } from './attributes.ts';
import { listReply } from './listing.ts';
import type { Parts } from './parts.ts';

interface ServiceBody {
  service: { type?: string; name?: string | null; description?: string | null; enabled?: boolean };
}
interface EndpointBody {
  endpoint: {
    service_id?: string;
    interface?: 'public' | 'internal' | 'admin';
    url?: string;
    region_id?: string | null;
    region?: string | null;
    enabled?: boolean;
    name?: string;
  };
}
interface RegionBody {
  region: { id?: string | null; description?: string | null; parent_region_id?: string | null };
}
const serviceFields = {
  type: { type: 'string', minLength: 1, maxLength: 255 },
  name: { type: ['string', 'null'], maxLength: 255 },
  description: textSchema,
  enabled: enabledSchema,
};
const regionId = { type: ['string', 'null'], maxLength: 255 };
const endpointFields = {
  service_id: idSchema,
  interface: { type: 'string', enum: ['public', 'internal', 'admin'] },
  url: { type: 'string', minLength: 1, maxLength: 2048, pattern: '^[a-zA-Z][a-zA-Z0-9+.-]*://\\S+$' },
  region_id: regionId,
  region: regionId,
  enabled: enabledSchema,
};
const regionFields = { id: regionId, description: textSchema, parent_region_id: regionId };

export const catalogRoutes: RouteTable<Parts> = {
  'GET /v3/services': { run: listServices, policy: 'identity:list_services' },
  'POST /v3/services': {
    run: createService,
    body: wrapped<ServiceBody>('service', serviceFields, ['type']),
    policy: 'identity:create_service',
  },
  'GET /v3/services/:id': { run: showService, policy: 'identity:get_service' },
  'PATCH /v3/services/:id': { run: updateService, body: wrapped<ServiceBody>('service', serviceFields), policy: 'identity:update_service' },
  'DELETE /v3/services/:id': { run: deleteService, policy: 'identity:delete_service' },
  'GET /v3/endpoints': { run: listEndpoints, policy: 'identity:list_endpoints' },
  'POST /v3/endpoints': {
    run: createEndpoint,
    body: wrapped<EndpointBody>('endpoint', endpointFields, ['service_id', 'interface', 'url']),
    policy: 'identity:create_endpoint',
  },
  'GET /v3/endpoints/:id': { run: showEndpoint, policy: 'identity:get_endpoint' },
  'PATCH /v3/endpoints/:id': {
    run: updateEndpoint,
    body: wrapped<EndpointBody>('endpoint', endpointFields),
    policy: 'identity:update_endpoint',
  },
  'DELETE /v3/endpoints/:id': { run: deleteEndpoint, policy: 'identity:delete_endpoint' },
  'GET /v3/regions': { run: listRegions, policy: 'identity:list_regions' },
  'POST /v3/regions': { run: createRegion, body: wrapped<RegionBody>('region', regionFields), policy: 'identity:create_region' },
  'PUT /v3/regions/:id': { run: createRegion, body: wrapped<RegionBody>('region', regionFields), policy: 'identity:create_region' },
  'GET /v3/regions/:id': { run: showRegion, policy: 'identity:get_region' },
  'PATCH /v3/regions/:id': { run: updateRegion, body: wrapped<RegionBody>('region', regionFields), policy: 'identity:update_region' },
  'DELETE /v3/regions/:id': { run: deleteRegion, policy: 'identity:delete_region' },
};

const idOf = (call: Call<unknown>) => call.params.id ?? '';
interface Service {
  id: string;
  type: string;
  name: string;
  description: string;
  enabled: number;
  extra: string;
}
const serviceView = (row: Service, base: string) => ({
  ...(JSON.parse(row.extra) as object), // written by extraOf
  id: row.id,
  type: row.type,
  name: row.name,
  description: row.description,
  enabled: row.enabled === 1,
  links: { self: `${base}/v3/services/${row.id}` },
});

async function allServices({ db, catalog }: Parts, call: Call<unknown>): Promise<Service[]> {
  const own = catalog(call.origin, null).map(({ id, type, name }) => ({ id, type, name, description: '', enabled: 1, extra: '{}' }));
  const rows = await db.read.selectFrom('identity_services').selectAll().orderBy('key').execute();
  return [...own, ...rows.map((row) => ({ ...row, description: row.description ?? '' }))];
}

async function oneService(parts: Parts, call: Call<unknown>, id: string): Promise<Service> {
  const found = (await allServices(parts, call)).find((service) => service.id === id);
  if (!found) throw identityNotFound({ what: 'service', id });
  return found;
}

/** The service named in the path, if it is one that can be changed. Throws identityNotFound, builtInCatalog. */
async function ownedService(parts: Parts, call: Call<unknown>): Promise<Service> {
  if (parts.catalog(call.origin, null).some((service) => service.id === idOf(call))) throw builtInCatalog({ what: 'service' });
  return oneService(parts, call, idOf(call));
}

async function listServices(parts: Parts, call: Call): Promise<Reply> {
  const rows = await allServices(parts, call);
  return listReply(call, { key: 'services', rows, view: (row) => serviceView(row, call.base), exact: ['name', 'type', 'id'] });
}

async function showService(parts: Parts, call: Call): Promise<Reply> {
  return { status: 200, body: { service: serviceView(await oneService(parts, call, idOf(call)), call.base) } };
}

async function createService({ feed }: Parts, call: Call<ServiceBody>): Promise<Reply> {
  const wish = call.body.service;
  const row = {
    id: newHexId(),
    type: wish.type ?? '',
    name: wish.name ?? '',
    description: wish.description ?? '',
    enabled: wish.enabled === false ? 0 : 1,
    options: '{}',
    extra: extraOf(wish, Object.keys(serviceFields)),
  };
  await feed.write((tx) => tx.insertInto('identity_services').values(row).execute());
  return { status: 201, body: { service: serviceView(row, call.base) } };
}

async function updateService(parts: Parts, call: Call<ServiceBody>): Promise<Reply> {
  const before = await ownedService(parts, call);
  const wish = call.body.service;
  const change = {
    type: wish.type ?? before.type,
    name: wish.name ?? before.name,
    description: wish.description === undefined ? before.description : (wish.description ?? ''),
    enabled: wish.enabled === undefined ? before.enabled : Number(wish.enabled),
    extra: extraOf(wish, Object.keys(serviceFields), before.extra),
  };
  await parts.feed.write((tx) => tx.updateTable('identity_services').set(change).where('id', '=', before.id).execute());
  return { status: 200, body: { service: serviceView({ ...before, ...change }, call.base) } };
}

async function deleteService(parts: Parts, call: Call): Promise<Reply> {
  const { id } = await ownedService(parts, call);
  await parts.feed.write(async (tx) => {
    await tx.deleteFrom('identity_endpoints').where('service_id', '=', id).execute();
    await tx.deleteFrom('identity_services').where('id', '=', id).execute();
  });
  return { status: 204 };
}

interface Endpoint {
  id: string;
  service_id: string;
  interface: 'public' | 'internal' | 'admin';
  region_id: string | null;
  url: string;
  enabled: number;
  extra: string;
}
const endpointView = (row: Endpoint, base: string) => ({
  ...(JSON.parse(row.extra) as object), // written by extraOf
  id: row.id,
  service_id: row.service_id,
  interface: row.interface,
  region_id: row.region_id,
  region: row.region_id,
  url: row.url,
  enabled: row.enabled === 1,
  links: { self: `${base}/v3/endpoints/${row.id}` },
});

/** The built-in endpoints, with the project's place left open in their URLs, and those of the table. */
async function allEndpoints({ db, catalog }: Parts, call: Call<unknown>): Promise<Endpoint[]> {
  const own = catalog(call.origin, '%(project_id)s').flatMap((service) =>
    service.endpoints.map(({ region: _same, ...endpoint }) => ({ ...endpoint, service_id: service.id, enabled: 1, extra: '{}' })),
  );
  return [...own, ...(await db.read.selectFrom('identity_endpoints').selectAll().orderBy('key').execute())];
}

async function oneEndpoint(parts: Parts, call: Call<unknown>): Promise<Endpoint> {
  const found = (await allEndpoints(parts, call)).find((endpoint) => endpoint.id === idOf(call));
  if (!found) throw identityNotFound({ what: 'endpoint', id: idOf(call) });
  return found;
}

async function ownedEndpoint(parts: Parts, call: Call<unknown>): Promise<Endpoint> {
  const builtIn = parts.catalog(call.origin, '').some((service) => service.endpoints.some((endpoint) => endpoint.id === idOf(call)));
  if (builtIn) throw builtInCatalog({ what: 'endpoint' });
  return oneEndpoint(parts, call);
}

async function listEndpoints(parts: Parts, call: Call): Promise<Reply> {
  const rows = await allEndpoints(parts, call);
  return listReply(call, {
    key: 'endpoints',
    rows,
    view: (row) => endpointView(row, call.base),
    exact: ['service_id', 'interface', 'region_id', 'enabled', 'id'],
  });
}

async function showEndpoint(parts: Parts, call: Call): Promise<Reply> {
  return { status: 200, body: { endpoint: endpointView(await oneEndpoint(parts, call), call.base) } };
}

async function mustBeRegion({ db }: Parts, id: string | null | undefined): Promise<void> {
  if (id === null || id === undefined) return;
  const row = await db.read.selectFrom('identity_regions').select('id').where('id', '=', id).executeTakeFirst();
  if (!row) throw invalidInput({ why: `There is no region ${id.slice(0, 100)}.` });
}

async function createEndpoint(parts: Parts, call: Call<EndpointBody>): Promise<Reply> {
  const wish = call.body.endpoint;
  await oneService(parts, call, wish.service_id ?? '');
  const region = wish.region_id ?? wish.region ?? null;
  await mustBeRegion(parts, region);
  const row = {
    id: newHexId(),
    service_id: wish.service_id ?? '',
    interface: wish.interface ?? 'public',
    region_id: region,
    url: wish.url ?? '',
    enabled: wish.enabled === false ? 0 : 1,
    extra: extraOf(wish, Object.keys(endpointFields)),
  };
  await parts.feed.write((tx) => tx.insertInto('identity_endpoints').values(row).execute());
  return { status: 201, body: { endpoint: endpointView(row, call.base) } };
}

async function updateEndpoint(parts: Parts, call: Call<EndpointBody>): Promise<Reply> {
  const before = await ownedEndpoint(parts, call);
  const wish = call.body.endpoint;
  if (wish.service_id !== undefined) await oneService(parts, call, wish.service_id);
  const region = wish.region_id ?? wish.region;
  await mustBeRegion(parts, region);
  const change = {
    service_id: wish.service_id ?? before.service_id,
    interface: wish.interface ?? before.interface,
    region_id: region ?? before.region_id,
    url: wish.url ?? before.url,
    enabled: wish.enabled === undefined ? before.enabled : Number(wish.enabled),
    extra: extraOf(wish, Object.keys(endpointFields), before.extra),
  };
  await parts.feed.write((tx) => tx.updateTable('identity_endpoints').set(change).where('id', '=', before.id).execute());
  return { status: 200, body: { endpoint: endpointView({ ...before, ...change }, call.base) } };
}

async function deleteEndpoint(parts: Parts, call: Call): Promise<Reply> {
  const { id } = await ownedEndpoint(parts, call);
  await parts.feed.write((tx) => tx.deleteFrom('identity_endpoints').where('id', '=', id).execute());
  return { status: 204 };
}

interface Region {
  id: string;
  description: string;
  parent_region_id: string | null;
  extra: string;
}
const regionView = (row: Region, base: string) => ({
  ...(JSON.parse(row.extra) as object), // written by extraOf
  id: row.id,
  description: row.description,
  parent_region_id: row.parent_region_id,
  links: { self: `${base}/v3/regions/${encodeURIComponent(row.id)}` },
});

async function oneRegion({ db }: Parts, id: string): Promise<Region> {
  const row = await db.read.selectFrom('identity_regions').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) throw identityNotFound({ what: 'region', id });
  return row;
}

async function listRegions({ db }: Parts, call: Call): Promise<Reply> {
  let query = db.read.selectFrom('identity_regions').selectAll().orderBy('key');
  const parent = one(call, 'parent_region_id');
  if (parent !== undefined) query = query.where('parent_region_id', '=', parent);
  return listReply(call, { key: 'regions', rows: await query.execute(), view: (row) => regionView(row, call.base) });
}

async function showRegion(parts: Parts, call: Call): Promise<Reply> {
  return { status: 200, body: { region: regionView(await oneRegion(parts, idOf(call)), call.base) } };
}

async function createRegion(parts: Parts, call: Call<RegionBody>): Promise<Reply> {
  const wish = call.body.region;
  if (call.params.id !== undefined && wish.id && wish.id !== call.params.id) {
    throw invalidInput({ why: 'The id in the body is not the one in the path.' });
  }
  const id = call.params.id ?? (wish.id || newHexId());
  if (id.length > 255) throw invalidInput({ why: 'The id of a region has up to 255 signs.' });
  await mustBeRegion(parts, wish.parent_region_id);
  const row = {
    id,
    description: wish.description ?? '',
    parent_region_id: wish.parent_region_id ?? null,
    extra: extraOf(wish, Object.keys(regionFields)),
  };
  await parts.feed.write(async (tx) => {
    const taken = await tx.selectFrom('identity_regions').select('id').where('id', '=', id).executeTakeFirst();
    if (taken) throw identityConflict({ what: 'region', why: `there is already one with the id ${id}` });
    await tx.insertInto('identity_regions').values(row).execute();
  });
  return { status: 201, body: { region: regionView(row, call.base) } };
}

async function updateRegion(parts: Parts, call: Call<RegionBody>): Promise<Reply> {
  const before = await oneRegion(parts, idOf(call));
  const wish = call.body.region;
  for (let at = wish.parent_region_id ?? null; at !== null; at = (await oneRegion(parts, at)).parent_region_id) {
    if (at === before.id) throw invalidInput({ why: 'A region cannot be its own ancestor.' });
  }
  const change = {
    description: wish.description === undefined ? before.description : (wish.description ?? ''),
    parent_region_id: wish.parent_region_id === undefined ? before.parent_region_id : wish.parent_region_id,
    extra: extraOf(wish, Object.keys(regionFields), before.extra),
  };
  await parts.feed.write((tx) => tx.updateTable('identity_regions').set(change).where('id', '=', before.id).execute());
  return { status: 200, body: { region: regionView({ ...before, ...change }, call.base) } };
}

async function deleteRegion(parts: Parts, call: Call): Promise<Reply> {
  const { id } = await oneRegion(parts, idOf(call));
  const endpoints = await allEndpoints(parts, call);
  if (endpoints.some((endpoint) => endpoint.region_id === id)) {
    throw identityConflict({ what: 'region', why: `there are endpoints in the region ${id}` });
  }
  await parts.feed.write((tx) => tx.deleteFrom('identity_regions').where('id', '=', id).execute());
  return { status: 204 };
}
