import { classLimits, setClassLimits } from '../../db/tables/compute/quota-limits.ts';
import type { Call, Reply } from '../../http/call.ts';
import { before, from } from '../../lib/answer.ts';
import { invalidInput } from '../../model/errors.ts';
import type { AdminParts } from './admin-parts.ts';
import { limitsKept } from './parts.ts';
import { type LimitName, networkResources, quotaResources } from './quota-defaults.ts';
import { limitsFrom } from './quota-sets.ts';
import type { QuotaClassUpdate } from './shapes/quota-sets.ts';

function nameOf(call: Call<unknown>): string {
  const name = call.params.id ?? '';
  if (name.length > 255) throw invalidInput({ why: 'The name of a quota class has at most 255 signs.' });
  return name;
}

/** To 2.49 with the limits of networks and without those of server groups, an oversight that 2.50 put right. */
const classSet = (limits: Readonly<Record<LimitName, number>>) => ({
  ...Object.fromEntries(
    quotaResources.map((name) => {
      const value = name.startsWith('server_group') ? from('2.50', limits[name]) : limits[name];
      return [name, name.startsWith('injected_') ? before('2.57', value) : value];
    }),
  ),
  ...Object.fromEntries(networkResources.map((name) => [name, before('2.50', limits[name])])),
});

/** Shows the limits of a class. Only class 'default' has an effect: it holds for every project without limits of its own.
 *  Spec: compute api-ref "Show the quota for Quota Class". */
export async function showQuotaClass(parts: AdminParts, call: Call): Promise<Reply> {
  const id = nameOf(call);
  const limits = await classLimits(parts.db.read, limitsKept(parts), id);
  return { status: 200, body: { quota_class_set: { id, ...classSet(limits) } } };
}

/** Sets limits of a class.  Throws invalidInput (400).  Spec: compute api-ref "Create or Update Quotas for Quota Class". */
export async function updateQuotaClass(parts: AdminParts, call: Call<QuotaClassUpdate>): Promise<Reply> {
  const id = nameOf(call);
  const limits = limitsFrom(call.body.quota_class_set);
  await parts.db.transaction((tx) => setClassLimits(tx, parts.db.kind, id, limits));
  const all = await classLimits(parts.db.read, limitsKept(parts), id);
  return { status: 200, body: { quota_class_set: classSet(all) } };
}
