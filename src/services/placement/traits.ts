import { findName, insertName, listNames, listTraitsOf, removeTrait, replaceTraits, traitsInUse } from '../../db/tables/placement/names.ts';
import { raiseGeneration } from '../../db/tables/placement/providers.ts';
import type { Call, Reply } from '../../http/call.ts';
import {
  CHANGED_MEANWHILE,
  placementBadRequest,
  placementConflict,
  placementNotFound,
  providerGenerationStale,
} from '../../model/errors-placement.ts';
import { isStandardTrait, sortTraits, standardTraits } from '../../model/placement-names.ts';
import { dated, empty, json, urlOf } from './answers.ts';
import { readJson, readQuery } from './bodies.ts';
import { noSuchTraits, unknownTraits } from './knowledge.ts';
import type { PlacementParts } from './parts.ts';
import { mustFind } from './providers.ts';
import { traitQuery, traitsOfProvider } from './shapes/providers.ts';
import { tellSchedulers } from './tell-schedulers.ts';

const CUSTOM_TRAIT = /^CUSTOM_[A-Z0-9_]+$/;
const noTrait = (name: string) => placementNotFound({ why: noSuchTraits([name]) });

/** Spec: placement api-ref, "List traits". */
export async function listTraits({ db, clock }: PlacementParts, call: Call): Promise<Reply> {
  const { name, associated } = readQuery(call, traitQuery);
  const [operator, value] = name === undefined ? [undefined, ''] : (name.split(/:(.*)/s, 2) as [string, string | undefined]);
  if (operator !== undefined && value === undefined)
    throw placementBadRequest({
      why: `Badly formatted name parameter. Expected name query string parameter in form: ?name=[in|startswith]:[name1,name2|prefix]. Got: "${name}"`,
    });
  if (associated !== undefined && !['true', 'false'].includes(associated.toLowerCase()))
    throw placementBadRequest({ why: 'The query parameter "associated" only accepts "true" or "false"' });
  const all = [...standardTraits, ...(await listNames(db.read, 'traits')).map((trait) => trait.name)];
  const named = operator === 'in' ? new Set((value ?? '').split(',')) : undefined;
  const used = associated === undefined ? undefined : await traitsInUse(db.read);
  const wanted = associated?.toLowerCase() === 'true';
  const traits = all.filter(
    (one) =>
      (named?.has(one) ?? true) &&
      (operator !== 'startswith' || one.startsWith(value ?? '')) &&
      (used === undefined || used.has(one) === wanted),
  );
  return json(call, { traits }, clock.now());
}

export async function showTrait({ db, clock }: PlacementParts, call: Call): Promise<Reply> {
  const name = call.params.name ?? '';
  const custom = isStandardTrait(name) ? undefined : await findName(db.read, 'traits', name);
  if (!custom && !isStandardTrait(name)) throw noTrait(name);
  return empty(204, dated(call, custom?.createdAt ?? clock.now()));
}

/** Makes a custom trait, 201, or finds that it is there, 204.  Spec: placement api-ref, "Update traits". */
export async function putTrait(parts: PlacementParts, call: Call): Promise<Reply> {
  const { db, clock } = parts;
  const name = call.params.name ?? '';
  if (!CUSTOM_TRAIT.test(name) || name.length > 255)
    throw placementBadRequest({
      why: 'The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"',
    });
  const at = clock.now();
  const made = await db.transaction((tx) => insertName(tx, db.kind, 'traits', name, at));
  const since = made ? at : ((await findName(db.read, 'traits', name))?.createdAt ?? at);
  return empty(made ? 201 : 204, { location: urlOf(call, `/traits/${name}`), ...dated(call, since) });
}

export async function deleteTrait({ db }: PlacementParts, call: Call): Promise<Reply> {
  const name = call.params.name ?? '';
  if (isStandardTrait(name)) throw placementBadRequest({ why: `Cannot delete standard trait ${name}.` });
  await db.transaction(async (tx) => {
    const done = await removeTrait(tx, name);
    if (done === 'gone') throw noTrait(name);
    if (done === 'used') throw placementConflict({ why: `The trait ${name} is in use by a resource provider.` });
  });
  return empty();
}

export async function listProviderTraits(parts: PlacementParts, call: Call): Promise<Reply> {
  const provider = await mustFind(parts, call);
  const traits = sortTraits(await listTraitsOf(parts.db.read, provider.uuid));
  return json(
    call,
    { traits, resource_provider_generation: provider.generation },
    traits.length > 0 ? provider.updatedAt : parts.clock.now(),
  );
}

/** Brings a provider's traits to exactly those of the body.  Spec: placement api-ref, "Update resource provider traits". */
export async function setProviderTraits(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  const wish = readJson(call, traitsOfProvider);
  const provider = await mustFind(parts, call);
  if (wish.resource_provider_generation !== provider.generation)
    throw providerGenerationStale({
      why: "Resource provider's generation already changed. Please update the generation and try again.",
    });
  const traits = [...new Set(wish.traits)];
  const unknown = await unknownTraits(db.read, traits);
  if (unknown.length > 0) throw placementBadRequest({ why: `No such trait ${unknown.join(', ')}` });
  const changed = await change(parts, provider.uuid, provider.generation, traits);
  return json(call, { traits, resource_provider_generation: provider.generation + (changed ? 1 : 0) }, clock.now());
}

export async function deleteProviderTraits(parts: PlacementParts, call: Call): Promise<Reply> {
  const provider = await mustFind(parts, call);
  await change(parts, provider.uuid, provider.generation, []);
  return empty();
}

const change = ({ db, clock }: PlacementParts, uuid: string, generation: number, traits: readonly string[]): Promise<boolean> =>
  db.transaction(async (tx) => {
    if (!(await replaceTraits(tx, db.kind, uuid, traits))) return false;
    const at = clock.now();
    if (!(await raiseGeneration(tx, uuid, generation, at))) throw providerGenerationStale({ why: CHANGED_MEANWHILE });
    await tellSchedulers(tx, [uuid], at);
    return true;
  });
