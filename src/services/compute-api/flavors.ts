import {
  deleteFlavor,
  describeFlavor,
  type FlavorSortKey,
  findFlavor,
  flavorNameExists,
  insertFlavor,
  listFlavors,
} from '../../db/tables/compute/flavors.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { invariant } from '../../lib/retry.ts';
import { invalidInput } from '../../model/errors.ts';
import { flavorIdTaken, flavorMarkerNotFound, flavorNameTaken, flavorNotFound } from '../../model/errors-compute-api.ts';
import type { Flavor } from '../../model/server.ts';
import { tellFlavor, tellFlavorGone } from './flavor-news.ts';
import { nextLink, pageLimit } from './links.ts';
import { flavorsFilterByName, flavorsShowExtraSpecs } from './microversions.ts';
import { type ComputeParts, maxLimitOf } from './parts.ts';
import { type FlavorCreate, type FlavorUpdate, MAX_INT } from './shapes/flavors.ts';
import { isYes } from './shapes/query.ts';
import { flavorSummary, flavorView } from './views/flavors.ts';

const isAdmin = (call: Call) => call.allows('context_is_admin');
const showsExtraSpecs = (call: Call) => flavorsShowExtraSpecs(call.version) && call.allows('os_compute_api:os-flavor-extra-specs:index');

/** A flavor the caller may see.  Throws flavorNotFound (404), also for a private one that was not given to the project. */
export async function mustFindFlavor(parts: ComputeParts, call: Call, flavorId: string): Promise<Flavor> {
  const flavor = await findFlavor(parts.db.read, flavorId, isAdmin(call) ? undefined : { projectId: call.caller.projectId });
  if (!flavor) throw flavorNotFound({ id: flavorId });
  return flavor;
}

/** Lists flavors by id and name.  Throws flavorMarkerNotFound (400).  Spec: compute api-ref "List Flavors". */
export async function listFlavorNames(parts: ComputeParts, call: Call): Promise<Reply> {
  const { flavors, links } = await page(parts, call, 'flavors');
  return { status: 200, body: { flavors: flavors.map((flavor) => flavorSummary(call, flavor)), ...links } };
}

/** Lists flavors in full.  Spec: compute api-ref "List Flavors With Details". */
export async function listFlavorDetails(parts: ComputeParts, call: Call): Promise<Reply> {
  const { flavors, links } = await page(parts, call, 'flavors/detail');
  const specs = showsExtraSpecs(call);
  return { status: 200, body: { flavors: flavors.map((flavor) => flavorView(call, flavor, specs)), ...links } };
}

async function page(parts: ComputeParts, call: Call, path: string) {
  const admin = isAdmin(call);
  const limit = pageLimit(call, maxLimitOf(parts));
  const marker = one(call, 'marker');
  const flavors = await listFlavors(parts.db.read, {
    isPublic: admin ? readIsPublic(one(call, 'is_public')) : true,
    includeDisabled: admin,
    projectId: call.caller.projectId,
    minMemoryMiB: readWhole(one(call, 'minRam'), 'min_ram'),
    minRootGiB: readWhole(one(call, 'minDisk'), 'min_disk'),
    name: flavorsFilterByName(call.version) ? one(call, 'name') : undefined,
    sortKey: (one(call, 'sort_key') ?? 'flavorid') as FlavorSortKey, // the query's shape lists them
    descending: one(call, 'sort_dir') === 'desc',
    limit,
    marker,
  });
  if (!flavors) throw flavorMarkerNotFound({ marker: marker ?? '' });
  const full = limit > 0 && flavors.length === limit;
  return { flavors, links: nextLink(call, 'flavors', path, { full, marker: flavors.at(-1)?.flavorId }) };
}

function readIsPublic(text: string | undefined): boolean | null {
  if (text === undefined) return true;
  if (text.toLowerCase() === 'none') return null;
  if (/^(true|t|1|on|yes|y)$/i.test(text.trim())) return true;
  if (/^(false|f|0|off|no|n)$/i.test(text.trim())) return false;
  throw invalidInput({ why: `Invalid is_public filter [${text.slice(0, 100)}]` });
}

function readWhole(text: string | undefined, name: string): number {
  if (text === undefined) return 0;
  if (!/^\s*[+-]?\d{1,15}\s*$/.test(text)) throw invalidInput({ why: `Invalid ${name} filter [${text.slice(0, 100)}]` });
  return Math.max(0, Math.min(Number(text), MAX_INT)); // no flavor is larger, and columns take no more
}

/** Shows one flavor.  Throws flavorNotFound (404).  Spec: compute api-ref "Show Flavor Details". */
export async function showFlavor(parts: ComputeParts, call: Call): Promise<Reply> {
  const flavor = await mustFindFlavor(parts, call, call.params.id ?? '');
  return { status: 200, body: { flavor: flavorView(call, flavor, showsExtraSpecs(call)) } };
}

/** Makes a flavor; without an id, or with 'auto', it gets a uuid.  Throws flavorIdTaken, flavorNameTaken (409).
 *  Spec: compute api-ref "Create Flavor". */
export async function createFlavor(parts: ComputeParts, call: Call<FlavorCreate>): Promise<Reply> {
  const wish = call.body.flavor;
  const flavor: Omit<Flavor, 'id'> = {
    flavorId: wish.id === undefined || wish.id === null || wish.id === 'auto' ? newUuid() : String(wish.id),
    name: wish.name,
    memoryMiB: within(wish.ram, 1, 'ram'),
    vcpus: within(wish.vcpus, 1, 'vcpus'),
    rootGiB: within(wish.disk, 0, 'disk'),
    ephemeralGiB: within(wish['OS-FLV-EXT-DATA:ephemeral'] ?? 0, 0, 'OS-FLV-EXT-DATA:ephemeral'),
    swapMiB: within(wish.swap ?? 0, 0, 'swap'),
    rxtxFactor: positive(wish.rxtx_factor ?? 1),
    isPublic: wish['os-flavor-access:is_public'] === undefined || isYes(wish['os-flavor-access:is_public']),
    disabled: false,
    description: wish.description ?? null,
    extraSpecs: {},
  };
  await mustBeFree(parts, flavor);
  try {
    await parts.db.transaction(async (tx) => {
      await insertFlavor(tx, flavor, parts.clock.now());
      await tellFlavor(parts, tx, flavor.flavorId, 'created');
    });
  } catch (cause) {
    await mustBeFree(parts, flavor); // two creates at once: the unique key decides, this only words it
    throw cause;
  }
  const made = await findFlavor(parts.db.read, flavor.flavorId);
  invariant(made, 'the flavor was committed a moment ago');
  return { status: 200, body: { flavor: flavorView(call, made, showsExtraSpecs(call)) } };
}

async function mustBeFree(parts: ComputeParts, { flavorId, name }: Pick<Flavor, 'flavorId' | 'name'>) {
  if (await flavorNameExists(parts.db.read, name)) throw flavorNameTaken({ name });
  if (await findFlavor(parts.db.read, flavorId)) throw flavorIdTaken({ id: flavorId });
}

function within(value: number | string, least: number, field: string): number {
  const number = Number(value);
  if (number < least || number > MAX_INT)
    throw invalidInput({ why: `Invalid input for field/attribute ${field}. Value: ${value}. It must be from ${least} to ${MAX_INT}` });
  return number;
}

function positive(value: number | string): number {
  const number = Number(value);
  if (!(number > 0 && number <= 3.40282e38))
    throw invalidInput({ why: `'rxtx_factor' argument must be greater than 0 and at most 3.40282e+38` });
  return number;
}

/** Changes a flavor's description, the only thing that can be changed.  Throws flavorNotFound (404).  Spec: compute api-ref "Update Flavor Description". */
export async function updateFlavor(parts: ComputeParts, call: Call<FlavorUpdate>): Promise<Reply> {
  const flavor = await mustFindFlavor(parts, call as Call, call.params.id ?? '');
  const { description } = call.body.flavor;
  await parts.db.transaction(async (tx) => {
    await describeFlavor(tx, flavor.id, description, parts.clock.now());
    await tellFlavor(parts, tx, flavor.flavorId, 'updated');
  });
  return { status: 200, body: { flavor: flavorView(call, { ...flavor, description }, showsExtraSpecs(call)) } };
}

/** Deletes a flavor; servers made from it keep their copy.  Throws flavorNotFound (404).  Spec: compute api-ref "Delete Flavor". */
export async function removeFlavor(parts: ComputeParts, call: Call): Promise<Reply> {
  const id = call.params.id ?? '';
  await parts.db.transaction(async (tx) => {
    const flavor = await findFlavor(tx, id);
    if (!flavor || !(await deleteFlavor(tx, id))) throw flavorNotFound({ id });
    await tellFlavorGone(parts, tx, flavor);
  });
  return { status: 202 };
}
