import type { Call, Reply, RouteTable } from '../../http/call.ts';
import { newHexId } from '../../lib/ids.ts';
import { builtInCatalog, identityNotFound } from '../../model/errors-identity.ts';
import { descriptionOf, enabledOf, enabledSchema, extraOf, textSchema, wrapped } from './attributes.ts';
import { listReply } from './listing.ts';
import type { Parts } from './parts.ts';

interface ServiceBody {
  service: { type?: string; name?: string | null; description?: string | null; enabled?: boolean };
}
const serviceFields = {
  type: { type: 'string', minLength: 1, maxLength: 255 },
  name: { type: ['string', 'null'], maxLength: 255 },
  description: textSchema,
  enabled: enabledSchema,
};

export const serviceRoutes: RouteTable<Parts> = {
  'GET /v3/services': { run: listServices, policy: 'identity:list_services' },
  'POST /v3/services': {
    run: createService,
    body: wrapped<ServiceBody>('service', serviceFields, ['type']),
    policy: 'identity:create_service',
  },
  'GET /v3/services/:id': { run: showService, policy: 'identity:get_service' },
  'PATCH /v3/services/:id': { run: updateService, body: wrapped<ServiceBody>('service', serviceFields), policy: 'identity:update_service' },
  'DELETE /v3/services/:id': { run: deleteService, policy: 'identity:delete_service' },
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

/** Throws identityNotFound. */
export async function oneService(parts: Parts, call: Call<unknown>, id: string): Promise<Service> {
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
    description: descriptionOf(wish),
    enabled: enabledOf(wish),
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
    description: descriptionOf(wish, before),
    enabled: enabledOf(wish, before),
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
