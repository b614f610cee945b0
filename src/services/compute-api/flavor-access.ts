import { addFlavorProject, flavorProjects, removeFlavorProject } from '../../db/tables/compute/flavors.ts';
import type { Call, Reply } from '../../http/call.ts';
import { flavorAccessExists, flavorAccessNotFound, flavorIsPublic, publicFlavorHasNoAccessList } from '../../model/errors-compute-api.ts';
import type { Flavor } from '../../model/server.ts';
import { tellFlavor } from './flavor-news.ts';
import { mustFindFlavor } from './flavors.ts';
import { mustBeProject } from './known-projects.ts';
import { publicFlavorRefusesAccess } from './microversions.ts';
import type { ComputeParts } from './parts.ts';
import type { AccessAdd, AccessRemove } from './shapes/flavors.ts';

/** Lists the projects that may use a private flavor.  Throws flavorNotFound, publicFlavorHasNoAccessList (404).
 *  Spec: compute api-ref "List Flavor Access Information For Given Flavor". */
export async function listFlavorAccess(parts: ComputeParts, call: Call): Promise<Reply> {
  const flavor = await mustFindFlavor(parts, call, call.params.id ?? '');
  if (flavor.isPublic) throw publicFlavorHasNoAccessList({ id: flavor.flavorId });
  return accessList(parts, flavor);
}

/** Lets a project use a flavor.  Throws projectUnknown (400), flavorNotFound (404), flavorIsPublic, flavorAccessExists (409).
 *  Spec: compute api-ref "Add Flavor Access To Tenant". */
export async function addFlavorAccess(parts: ComputeParts, call: Call<AccessAdd>): Promise<Reply> {
  const project = call.body.addTenantAccess.tenant;
  await mustBeProject(parts, call, project);
  const flavor = await mustFindFlavor(parts, call as Call, call.params.id ?? '');
  if (flavor.isPublic && publicFlavorRefusesAccess(call.version)) throw flavorIsPublic({ id: flavor.flavorId });
  let added: boolean;
  try {
    added = await parts.db.transaction(async (tx) => {
      if (!(await addFlavorProject(tx, flavor.id, project))) return false;
      await tellFlavor(parts, tx, flavor.flavorId, 'updated');
      return true;
    });
  } catch (cause) {
    if (!(await flavorProjects(parts.db.read, flavor.id)).includes(project)) throw cause;
    added = false; // someone else's add was first
  }
  if (!added) throw flavorAccessExists({ id: flavor.flavorId, project });
  return accessList(parts, flavor);
}

/** Takes a project's use of a flavor away.  Throws flavorNotFound, flavorAccessNotFound (404).
 *  Spec: compute api-ref "Remove Flavor Access From Tenant". */
export async function removeFlavorAccess(parts: ComputeParts, call: Call<AccessRemove>): Promise<Reply> {
  const flavor = await mustFindFlavor(parts, call as Call, call.params.id ?? '');
  const project = call.body.removeTenantAccess.tenant;
  await parts.db.transaction(async (tx) => {
    if (!(await removeFlavorProject(tx, flavor.id, project))) throw flavorAccessNotFound({ id: flavor.flavorId, project });
    await tellFlavor(parts, tx, flavor.flavorId, 'updated');
  });
  return accessList(parts, flavor);
}

async function accessList(parts: ComputeParts, flavor: Flavor): Promise<Reply> {
  const projects = await flavorProjects(parts.db.read, flavor.id);
  return { status: 200, body: { flavor_access: projects.map((tenant_id) => ({ flavor_id: flavor.flavorId, tenant_id })) } };
}
