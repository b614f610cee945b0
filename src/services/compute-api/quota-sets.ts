import {
  classLimits,
  DEFAULT_CLASS,
  dropLimits,
  limitsOf,
  limitsWithUser,
  setLimits,
  usageOf,
  usersShares,
} from '../../db/tables/compute/quota-limits.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { before } from '../../lib/answer.ts';
import { invalidInput } from '../../model/errors.ts';
import { quotaAboveProject, quotaBelowUsage } from '../../model/errors-compute-api.ts';
import { mustBeProject } from './known-projects.ts';
import { type ComputeParts, limitsKept } from './parts.ts';
import { type LimitName, networkResources, type QuotaResource, quotaResources } from './quota-defaults.ts';
import { MAX_INT } from './shapes/flavors.ts';
import { isYes } from './shapes/query.ts';
import type { QuotaUpdate } from './shapes/quota-sets.ts';

const ofFiles = (resource: QuotaResource) => resource.startsWith('injected_');
/** A set in the form of its version: each resource as `show` gives it. */
function quotaSet<T>(show: (resource: LimitName) => T) {
  return {
    ...Object.fromEntries(quotaResources.map((name) => [name, ofFiles(name) ? before('2.57', show(name)) : show(name)])),
    ...Object.fromEntries(networkResources.map((name) => [name, before('2.36', show(name))])),
  };
}

function target(call: Call<unknown>) {
  const project = call.params.id ?? '';
  call.allow({ project_id: project });
  return { project, user: one(call, 'user_id') || undefined };
}

/** Shows the limits of a project, or of a user in it.  Spec: compute api-ref "Show A Quota". */
export async function showQuota(parts: ComputeParts, call: Call): Promise<Reply> {
  const { project, user } = target(call);
  await mustBeProject(parts, call, project);
  const limits = await limitsOf(parts.db.read, limitsKept(parts), project, user);
  return { status: 200, body: { quota_set: { id: project, ...quotaSet((name) => limits[name]) } } };
}

/** Shows what a project has without limits of its own: the limits of class 'default'.  Spec: compute api-ref "List Default Quotas For Tenant". */
export async function showDefaultQuota(parts: ComputeParts, call: Call): Promise<Reply> {
  await mustBeProject(parts, call, call.params.id ?? '');
  const limits = await classLimits(parts.db.read, limitsKept(parts), DEFAULT_CLASS);
  return { status: 200, body: { quota_set: { id: call.params.id ?? '', ...quotaSet((name) => limits[name]) } } };
}

/** Shows limits beside what is used of them, by the project or by one user in it.  Spec: compute api-ref "Show The Detail of Quota". */
export async function showQuotaDetail(parts: ComputeParts, call: Call): Promise<Reply> {
  const { project, user } = target(call);
  await mustBeProject(parts, call, project);
  const limits = await limitsOf(parts.db.read, limitsKept(parts), project, user);
  const used = await usageOf(parts.db.read, project, user);
  const show = (name: LimitName) => ({ in_use: used[name] ?? 0, limit: limits[name], reserved: 0 });
  return { status: 200, body: { quota_set: { id: project, ...quotaSet(show) } } };
}

/** Sets limits of a project, or of one user in it. Unless forced: not below what is used, a project not below what its users have of their own, a user
 *  not above what the project has left.  Throws invalidInput, quotaBelowUsage, quotaAboveProject (400).  Spec: compute api-ref "Update Quotas". */
export async function updateQuota(parts: ComputeParts, call: Call<QuotaUpdate>): Promise<Reply> {
  const { project, user } = target(call);
  await mustBeProject(parts, call, project);
  const wish = call.body.quota_set;
  const limits = limitsFrom(wish);
  await parts.db.transaction(async (tx) => {
    if (!isYes(wish.force)) {
      const used = await usageOf(tx, project, user);
      const shares = await usersShares(tx, project, user);
      const { project: most } = await limitsWithUser(tx, limitsKept(parts), project, user ?? '');
      for (const [resource, limit] of Object.entries(limits) as [LimitName, number][]) {
        const least = user === undefined ? Math.max(used[resource] ?? 0, shares[resource] ?? 0) : (used[resource] ?? 0);
        if (limit !== -1 && limit < least) throw quotaBelowUsage({ resource, limit, used: least });
        const left = most[resource] - (shares[resource] ?? 0);
        if (user !== undefined && most[resource] !== -1 && (limit === -1 || limit > left))
          throw quotaAboveProject({ resource, limit, most: Math.max(0, left) });
      }
    }
    await setLimits(tx, parts.db.kind, project, user ?? '', limits);
  });
  const all = await limitsOf(parts.db.read, limitsKept(parts), project, user);
  return { status: 200, body: { quota_set: quotaSet((name) => all[name]) } };
}

/** The limits a body names, as numbers.  Throws invalidInput (400). */
export function limitsFrom(wish: Readonly<Partial<Record<LimitName, number | string | undefined>>>): Partial<Record<LimitName, number>> {
  const limits: Partial<Record<LimitName, number>> = {};
  for (const name of [...quotaResources, ...networkResources]) {
    const given = wish[name];
    if (given === undefined) continue;
    const limit = Number(given);
    if (limit < -1 || limit > MAX_INT)
      throw invalidInput({ why: `Invalid input for field/attribute ${name}. Value: ${given}. It must be from -1 to ${MAX_INT}` });
    limits[name] = limit;
  }
  return limits;
}

/** Puts a project with its users, or one user, back to the defaults.  Spec: compute api-ref "Revert Quotas To Defaults". */
export async function removeQuota(parts: ComputeParts, call: Call): Promise<Reply> {
  const { project, user } = target(call);
  await parts.db.transaction((tx) => dropLimits(tx, project, user));
  return { status: 202 };
}
