import {
  findProvider,
  insertProvider,
  listTree,
  nameIsTaken,
  type Provider,
  removeProvider,
  rewriteProvider,
} from '../../db/tables/placement/providers.ts';
import type { Call, Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import {
  placementBadRequest,
  placementNotFound,
  providerExists,
  providerInUse,
  providerIsParent,
  providerNotFound,
} from '../../model/errors-placement.ts';
import { empty, json, newest, urlOf } from './answers.ts';
import { readJson, readQuery } from './bodies.ts';
import { newProvidersAreShown, providersCanMove } from './microversions.ts';
import type { PlacementParts } from './parts.ts';
import { listFilters } from './provider-filters.ts';
import { providerCreate, providerQuery, providerUpdate } from './shapes/providers.ts';
import { tellSchedulers } from './tell-schedulers.ts';
import { providerView } from './views.ts';

/** The provider that the path names. Throws providerNotFound (404). */
export async function mustFind({ db }: PlacementParts, call: Call<never> | Call<Buffer> | Call): Promise<Provider> {
  const uuid = call.params.uuid ?? '';
  const provider = await findProvider(db.read, uuid);
  if (!provider) throw providerNotFound({ uuid });
  return provider;
}

/** Spec: placement api-ref, "List resource providers". */
export async function listProviders(parts: PlacementParts, call: Call): Promise<Reply> {
  readQuery(call, providerQuery);
  const fits = await listFilters(parts, call);
  const forest = await parts.forest.current();
  const found = fits ? forest.providers.filter(fits) : [];
  const at = newest(
    found.map((one) => one.provider.updatedAt),
    parts.clock.now(),
  );
  return json(call, { resource_providers: found.map((one) => providerView(parts, call, one.provider)) }, at);
}

export async function showProvider(parts: PlacementParts, call: Call): Promise<Reply> {
  const provider = await mustFind(parts, call);
  return json(call, providerView(parts, call, provider), provider.updatedAt);
}

/** Spec: placement api-ref, "Create resource provider". */
export async function createProvider(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  const wish = readJson(call, providerCreate);
  const uuid = wish.uuid ? dashed(wish.uuid) : newUuid();
  const refused = (reason: string) =>
    placementBadRequest({
      why: `Unable to create resource provider "${wish.name}", ${uuid}: Object action create failed because: ${reason}`,
    });
  if (wish.name === '') throw refused('name is required');
  const parentUuid = wish.parent_provider_uuid ?? null;
  if (parentUuid === uuid)
    throw refused('parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if there is no parent.');
  const at = clock.now();
  const made = await db.transaction(async (tx) => {
    const parent = parentUuid === null ? undefined : await findProvider(tx, parentUuid);
    if (parentUuid !== null && !parent) throw refused('parent provider UUID does not exist.');
    const provider: Provider = {
      uuid,
      name: wish.name,
      generation: 0,
      rootUuid: parent?.rootUuid ?? uuid,
      parentUuid,
      createdAt: at,
      updatedAt: at,
    };
    const taken = await insertProvider(tx, db.kind, provider);
    if (taken.length > 0)
      throw providerExists({ what: taken.map((column) => `${column}: ${column === 'uuid' ? uuid : wish.name}`).join(', ') });
    return provider;
  });
  const location = urlOf(call, `/resource_providers/${uuid}`);
  if (!newProvidersAreShown(call.version)) return empty(201, { location });
  const answer = json(call, providerView(parts, call, made), at);
  return { ...answer, headers: { ...answer.headers, location } };
}

/** Another name, another parent. Where it moves with its subtree, every one of the subtree learns its new root.
 *  Spec: placement api-ref, "Update resource provider". */
export async function updateProvider(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  await mustFind(parts, call);
  const wish = readJson(call, providerUpdate);
  const uuid = call.params.uuid ?? '';
  const mayMove = providersCanMove(call.version);
  const at = clock.now();
  const changed = await db.transaction(async (tx) => {
    const old = await findProvider(tx, uuid);
    if (!old) throw providerNotFound({ uuid });
    const refused = (action: string, reason: string) =>
      placementBadRequest({ why: `Unable to save resource provider ${uuid}: Object action ${action} failed because: ${reason}` });
    const parentUuid = wish.parent_provider_uuid === undefined ? old.parentUuid : wish.parent_provider_uuid;
    let rootUuid = old.rootUuid;
    let moved: string[] = [];
    if (parentUuid !== null) {
      const parent = await findProvider(tx, parentUuid);
      if (!parent) throw refused('create', 'parent provider UUID does not exist.');
      if (old.parentUuid !== null && old.parentUuid !== parentUuid && !mayMove)
        throw refused('update', 're-parenting a provider is not currently allowed.');
      moved = subtree(await listTree(tx, old.rootUuid), uuid);
      if (moved.includes(parentUuid)) throw refused('update', 'creating loop in the provider tree is not allowed.');
      rootUuid = parent.rootUuid;
    } else if (old.parentUuid !== null) {
      if (!mayMove) throw refused('update', 'un-parenting a provider is not currently allowed.');
      moved = subtree(await listTree(tx, old.rootUuid), uuid);
      rootUuid = uuid;
    }
    if (await nameIsTaken(tx, wish.name, uuid)) throw providerExists({ what: wish.name });
    await rewriteProvider(tx, uuid, { name: wish.name, parentUuid, rootUuid, moved: rootUuid === old.rootUuid ? [] : moved, at });
    return { ...old, name: wish.name, parentUuid, rootUuid, updatedAt: at };
  });
  return json(call, providerView(parts, call, changed), at);
}

/** Spec: placement api-ref, "Delete resource provider". */
export async function deleteProvider({ db, clock }: PlacementParts, call: Call): Promise<Reply> {
  const uuid = call.params.uuid ?? '';
  await db.transaction(async (tx) => {
    const known = await findProvider(tx, uuid);
    const done = known ? await removeProvider(tx, uuid) : 'gone';
    if (done === 'gone') throw placementNotFound({ why: `No resource provider with uuid ${uuid} found for delete` });
    if (done === 'used') throw providerInUse({ uuid });
    if (done === 'parent') throw providerIsParent({ uuid });
    await tellSchedulers(tx, [uuid], clock.now());
  });
  return empty();
}

function subtree(tree: readonly Provider[], top: string): string[] {
  const children = new Map<string, string[]>();
  for (const one of tree) if (one.parentUuid) children.set(one.parentUuid, [...(children.get(one.parentUuid) ?? []), one.uuid]);
  const found = [top];
  for (let at = 0; at < found.length; at++) found.push(...(children.get(found[at] ?? '') ?? []));
  return found;
}

/** A uuid in the form 8-4-4-4-12, lower case. */
export function dashed(uuid: string): string {
  const digits = uuid.replaceAll('-', '').toLowerCase();
  return [0, 8, 12, 16, 20].map((from, at, all) => digits.slice(from, all[at + 1] ?? 32)).join('-');
}
