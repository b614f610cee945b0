import { type Call, one, type Reply, type RouteTable } from '../../http/call.ts';
import { newHexId } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { identityConflict, identityNotFound } from '../../model/errors-identity.ts';
import { descriptionOf, extraOf, regionIdSchema, textSchema, wrapped } from './attributes.ts';
import { allEndpoints } from './endpoints.ts';
import { mustBeRegion } from './find.ts';
import { listReply } from './listing.ts';
import type { Parts } from './parts.ts';

interface RegionBody {
  region: { id?: string | null; description?: string | null; parent_region_id?: string | null };
}
const regionFields = { id: regionIdSchema, description: textSchema, parent_region_id: regionIdSchema };

export const regionRoutes: RouteTable<Parts> = {
  'GET /v3/regions': { run: listRegions, policy: 'identity:list_regions' },
  'POST /v3/regions': { run: createRegion, body: wrapped<RegionBody>('region', regionFields), policy: 'identity:create_region' },
  'PUT /v3/regions/:id': { run: createRegion, body: wrapped<RegionBody>('region', regionFields), policy: 'identity:create_region' },
  'GET /v3/regions/:id': { run: showRegion, policy: 'identity:get_region' },
  'PATCH /v3/regions/:id': { run: updateRegion, body: wrapped<RegionBody>('region', regionFields), policy: 'identity:update_region' },
  'DELETE /v3/regions/:id': { run: deleteRegion, policy: 'identity:delete_region' },
};

const idOf = (call: Call<unknown>) => call.params.id ?? '';
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
  await mustBeRegion(parts.db.read, wish.parent_region_id);
  const row = {
    id,
    description: descriptionOf(wish),
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
    description: descriptionOf(wish, before),
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
