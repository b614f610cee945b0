import type { GroupJson, RuleJson } from '../networking.ts';

/** Ports as the compute API counts them: -1 for "none" of a protocol without ports, all of them for TCP and UDP. */
function portsOf(rule: RuleJson): { from_port: number | null; to_port: number | null } {
  if (rule.protocol === null || rule.port_range_min !== null || rule.port_range_max !== null)
    return { from_port: rule.port_range_min, to_port: rule.port_range_max };
  return rule.protocol === 'tcp' || rule.protocol === 'udp' ? { from_port: 1, to_port: 65_535 } : { from_port: -1, to_port: -1 };
}

/** `groups`: those known by id, for rules that let a group's members in. */
export function ruleView(rule: RuleJson, groups: ReadonlyMap<string, GroupJson>) {
  const remote = groups.get(rule.remote_group_id ?? '');
  const everybody = rule.ethertype === 'IPv6' ? '::/0' : '0.0.0.0/0';
  return {
    id: rule.id,
    parent_group_id: rule.security_group_id,
    ip_protocol: rule.protocol,
    ...portsOf(rule),
    group: remote ? { name: remote.name, tenant_id: remote.project_id } : {},
    ip_range: rule.remote_group_id === null ? { cidr: rule.remote_ip_prefix ?? everybody } : {},
  };
}

/** A group with its rules for what comes in; the compute API never showed the others.  Spec: compute api-ref "Security groups". */
export const groupView = (group: GroupJson, groups: ReadonlyMap<string, GroupJson>) => ({
  id: group.id,
  name: group.name,
  description: group.description,
  tenant_id: group.project_id,
  rules: group.security_group_rules.filter((rule) => rule.direction === 'ingress').map((rule) => ruleView(rule, groups)),
});
