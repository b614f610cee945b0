import { limitsOf, usageOf } from '../../db/tables/compute/quota-limits.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { before } from '../../lib/answer.ts';
import { type ComputeParts, limitsKept } from './parts.ts';

/** Shows what a project may have and has; another project's to those who may see it.  Throws policyForbids (403).
 *  Spec: compute api-ref "Show Rate And Absolute Limits". */
export async function showLimits(parts: ComputeParts, call: Call): Promise<Reply> {
  const named = one(call, 'tenant_id');
  if (named !== undefined) call.allow({ project_id: named }, 'os_compute_api:limits:other_project');
  const project = named ?? call.caller.projectId ?? '';
  const max = await limitsOf(parts.db.read, limitsKept(parts), project);
  const used = await usageOf(parts.db.read, project);
  const absolute = {
    maxTotalInstances: max.instances,
    maxTotalCores: max.cores,
    maxTotalRAMSize: max.ram,
    maxTotalKeypairs: max.key_pairs,
    maxServerMeta: max.metadata_items,
    maxServerGroups: max.server_groups,
    maxServerGroupMembers: max.server_group_members,
    maxImageMeta: before('2.39', max.metadata_items),
    maxPersonality: before('2.57', max.injected_files),
    maxPersonalitySize: before('2.57', max.injected_file_content_bytes),
    maxSecurityGroups: before('2.36', max.security_groups),
    maxSecurityGroupRules: before('2.36', max.security_group_rules),
    maxTotalFloatingIps: before('2.36', max.floating_ips),
    totalInstancesUsed: used.instances ?? 0,
    totalCoresUsed: used.cores ?? 0,
    totalRAMUsed: used.ram ?? 0,
    totalServerGroupsUsed: used.server_groups ?? 0,
    totalSecurityGroupsUsed: before('2.36', 0),
    totalFloatingIpsUsed: before('2.36', 0),
  };
  return { status: 200, body: { limits: { rate: [], absolute } } };
}
