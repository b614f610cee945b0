import { changeExtraSpecs } from '../../db/tables/compute/flavors.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { extraSpecNotFound, flavorNotFound } from '../../model/errors-compute-api.ts';
import { whyExtraSpecIsWrong } from './extra-spec-rules.ts';
import { tellFlavor } from './flavor-news.ts';
import { mustFindFlavor } from './flavors.ts';
import { extraSpecsAreChecked } from './microversions.ts';
import type { ComputeParts } from './parts.ts';
import type { ExtraSpecsCreate, ExtraSpecUpdate } from './shapes/flavors.ts';

const target = (call: Call<unknown>) => ({ id: call.params.id ?? '', key: call.params.key ?? '' });

/** Lists the extra specs of a flavor.  Throws flavorNotFound (404).  Spec: compute api-ref "List Extra Specs For A Flavor". */
export async function listExtraSpecs(parts: ComputeParts, call: Call): Promise<Reply> {
  const flavor = await mustFindFlavor(parts, call, target(call).id);
  return { status: 200, body: { extra_specs: flavor.extraSpecs } };
}

/** Shows one extra spec.  Throws flavorNotFound, extraSpecNotFound (404).  Spec: compute api-ref "Show An Extra Spec For A Flavor". */
export async function showExtraSpec(parts: ComputeParts, call: Call): Promise<Reply> {
  const { id, key } = target(call);
  const flavor = await mustFindFlavor(parts, call, id);
  const value = Object.hasOwn(flavor.extraSpecs, key) ? flavor.extraSpecs[key] : undefined;
  if (value === undefined) throw extraSpecNotFound({ id, key });
  return { status: 200, body: { [key]: value } };
}

/** Adds extra specs, or replaces those of the same name.  Throws invalidInput (400), flavorNotFound (404).
 *  Spec: compute api-ref "Create Extra Specs For A Flavor". */
export async function createExtraSpecs(parts: ComputeParts, call: Call<ExtraSpecsCreate>): Promise<Reply> {
  await put(parts, call, call.body.extra_specs);
  return { status: 200, body: { extra_specs: call.body.extra_specs } };
}

/** Sets the one extra spec the path names.  Throws invalidInput (400), flavorNotFound (404).
 *  Spec: compute api-ref "Update An Extra Spec For A Flavor". */
export async function updateExtraSpec(parts: ComputeParts, call: Call<ExtraSpecUpdate>): Promise<Reply> {
  if (!Object.hasOwn(call.body, target(call).key)) throw invalidInput({ why: 'Request body and URI mismatch' });
  await put(parts, call, call.body);
  return { status: 200, body: call.body };
}

async function put(parts: ComputeParts, call: Call<unknown>, given: Readonly<Record<string, string | number>>) {
  const { id } = target(call);
  const specs = Object.fromEntries(Object.entries(given).map(([key, value]) => [key, String(value)]));
  if (extraSpecsAreChecked(call.version)) {
    for (const [key, value] of Object.entries(specs)) {
      const why = whyExtraSpecIsWrong(key, value);
      if (why !== undefined) throw invalidInput({ why });
    }
  }
  await mustFindFlavor(parts, call as Call, id);
  const done = await change(parts, id, (old) => ({ ...old, ...specs }));
  if (done === 'no flavor') throw flavorNotFound({ id });
}

const change = (parts: ComputeParts, id: string, plan: Parameters<typeof changeExtraSpecs>[3]) =>
  parts.db.transaction(async (tx) => {
    const done = await changeExtraSpecs(tx, id, parts.clock.now(), plan);
    if (done === 'changed') await tellFlavor(parts, tx, id, 'updated');
    return done;
  });

/** Removes one extra spec.  Throws flavorNotFound, extraSpecNotFound (404).  Spec: compute api-ref "Delete An Extra Spec For A Flavor". */
export async function removeExtraSpec(parts: ComputeParts, call: Call): Promise<Reply> {
  const { id, key } = target(call);
  await mustFindFlavor(parts, call, id);
  const done = await change(parts, id, (old) => {
    if (!Object.hasOwn(old, key)) return undefined;
    const { [key]: _gone, ...rest } = old;
    return rest;
  });
  if (done === 'no flavor') throw flavorNotFound({ id });
  if (done === 'left') throw extraSpecNotFound({ id, key });
  return { status: 200 };
}
