import type { IdentityEndpointsTable } from '../../db/tables/identity/tables.ts';
import type { Call, Reply, RouteTable } from '../../http/call.ts';
import { newHexId } from '../../lib/ids.ts';
import { builtInCatalog, identityNotFound } from '../../model/errors-identity.ts';
import { enabledOf, enabledSchema, extraOf, idSchema, regionIdSchema, wrapped } from './attributes.ts';
import { mustBeRegion } from './find.ts';
import { listReply } from './listing.ts';
import type { Parts } from './parts.ts';
import { oneService } from './services.ts';

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
const endpointFields = {
  service_id: idSchema,
  interface: { type: 'string', enum: ['public', 'internal', 'admin'] },
  url: { type: 'string', minLength: 1, maxLength: 2048, pattern: '^[a-zA-Z][a-zA-Z0-9+.-]*://\\S+$' },
  region_id: regionIdSchema,
  region: regionIdSchema,
  enabled: enabledSchema,
};

export const endpointRoutes: RouteTable<Parts> = {
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
};

const idOf = (call: Call<unknown>) => call.params.id ?? '';
type Endpoint = Omit<IdentityEndpointsTable, 'key'>;
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
export async function allEndpoints({ db, catalog }: Parts, call: Call<unknown>): Promise<Endpoint[]> {
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

async function createEndpoint(parts: Parts, call: Call<EndpointBody>): Promise<Reply> {
  const wish = call.body.endpoint;
  await oneService(parts, call, wish.service_id ?? '');
  const region = wish.region_id ?? wish.region ?? null;
  await mustBeRegion(parts.db.read, region);
  const row = {
    id: newHexId(),
    service_id: wish.service_id ?? '',
    interface: wish.interface ?? 'public',
    region_id: region,
    url: wish.url ?? '',
    enabled: enabledOf(wish),
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
  await mustBeRegion(parts.db.read, region);
  const change = {
    service_id: wish.service_id ?? before.service_id,
    interface: wish.interface ?? before.interface,
    region_id: region ?? before.region_id,
    url: wish.url ?? before.url,
    enabled: enabledOf(wish, before),
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
