import type { Call, Reply } from '../../http/call.ts';
import { one as lastOf } from '../../http/call.ts';
import { isUuid } from '../../lib/ids.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import { groupIdMalformed, groupNotFound } from '../../model/errors-interfaces.ts';
import { parseCidr } from '../../model/ip-address.ts';
import { asked, type GroupJson, listOf, type NetworkingParts, one, type RuleJson, saying } from './networking.ts';
import { isAdmin } from './server-find.ts';
import { groupsById } from './server-security-groups.ts';
import type { SecurityGroupBody, SecurityGroupRuleBody } from './shapes/networking.ts';
import { groupView, ruleView } from './views/security-groups.ts';

// Old roads to the network service (to 2.35).  Spec: compute api-ref "Security groups", "Rules for security group".

const as = (kind: 'invalid' | 'forbidden') => (cause: CloudError) => new CloudError(cause.code, kind, cause.message, {}, { cause });
/** Groups and rules have uuids. Throws groupIdMalformed (400). */
function idOf(call: Call): string {
  const { id } = call.params;
  if (isUuid(id)) return id;
  throw groupIdMalformed({ id: String(id).slice(0, 100) });
}
const missing = (id: string) => ({ 404: (cause: CloudError) => groupNotFound({ id }, { cause }) });

async function withRemotes(parts: NetworkingParts, call: Call, groups: readonly GroupJson[]): Promise<object[]> {
  const named = groups.flatMap((group) => group.security_group_rules.flatMap((rule) => rule.remote_group_id ?? []));
  const known = new Map(groups.map((group) => [group.id, group]));
  const others = named.filter((id) => !known.has(id));
  if (others.length > 0) for (const [id, group] of await groupsById(parts, call, others)) known.set(id, group);
  return groups.map((group) => groupView(group, known));
}

export async function listSecurityGroups(parts: NetworkingParts, call: Call): Promise<Reply> {
  const everybody = isAdmin(call) && ['1', 'true', 'True'].includes(lastOf(call, 'all_tenants') ?? '');
  const words = everybody ? [] : ([['project_id', call.caller.projectId ?? '']] as const);
  const groups = await listOf<GroupJson>(parts, call, 'security-groups', words);
  const start = Number(lastOf(call, 'offset') ?? 0) || 0;
  const limit = lastOf(call, 'limit');
  const page = groups.slice(start, limit === undefined ? undefined : start + (Number(limit) || 0));
  return { status: 200, body: { security_groups: await withRemotes(parts, call, page) } };
}

const show = async (parts: NetworkingParts, call: Call, id: string): Promise<GroupJson> =>
  (await saying(asked<{ security_group: GroupJson }>(parts, call, 'GET', one('security-groups', id)), missing(id))).security_group;
const reply = async (parts: NetworkingParts, call: Call, group: GroupJson): Promise<Reply> => ({
  status: 200,
  body: { security_group: (await withRemotes(parts, call, [group]))[0] },
});

export const showSecurityGroup = async (parts: NetworkingParts, call: Call): Promise<Reply> =>
  reply(parts, call, await show(parts, call, idOf(call)));

export async function createSecurityGroup(parts: NetworkingParts, call: Call<SecurityGroupBody>): Promise<Reply> {
  const { name, description } = call.body.security_group;
  const body = { security_group: { name, description } };
  const made = asked<{ security_group: GroupJson }>(parts, call, 'POST', '/v2.0/security-groups', { body });
  // Both the quota and a second "default" are conflicts there.
  const { security_group } = await saying(made, { 409: (cause) => as(/quota/i.test(cause.message) ? 'forbidden' : 'invalid')(cause) });
  return reply(parts, call, security_group);
}

export async function updateSecurityGroup(parts: NetworkingParts, call: Call<SecurityGroupBody>): Promise<Reply> {
  const id = idOf(call);
  const { name, description } = call.body.security_group;
  const body = { security_group: { name, description } };
  const changed = asked<{ security_group: GroupJson }>(parts, call, 'PUT', one('security-groups', id), { body });
  const { security_group } = await saying(changed, { ...missing(id), 409: as('invalid') });
  return reply(parts, call, security_group);
}

export async function deleteSecurityGroup(parts: NetworkingParts, call: Call): Promise<Reply> {
  const id = idOf(call);
  await saying(asked(parts, call, 'DELETE', one('security-groups', id)), { ...missing(id), 409: as('invalid') });
  return { status: 202 };
}

const numberIn = (value: unknown, name: string): number | null => {
  if (value === undefined || value === null || value === '') return null;
  const number = typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN;
  if (!Number.isInteger(number) || number < -1 || number > 65_535)
    throw invalidInput({ why: `Invalid input for ${name}: a port from -1 to 65535 is expected.` });
  return number;
};

/** What a rule of old says, as the network service wants it. Throws invalidInput (400). */
function ruleWish(rule: SecurityGroupRuleBody['security_group_rule'], parent: string) {
  const protocol = rule.ip_protocol === undefined || rule.ip_protocol === null ? null : String(rule.ip_protocol).toLowerCase();
  const [first, last] = [numberIn(rule.from_port, 'from_port'), numberIn(rule.to_port, 'to_port')];
  const cidr = rule.cidr === undefined || rule.cidr === null || rule.cidr === '' ? '0.0.0.0/0' : String(rule.cidr);
  const range = parseCidr(cidr);
  if (!range) throw invalidInput({ why: `Invalid cidr ${String(rule.cidr).slice(0, 60)}.` });
  if (protocol === null && first === null && !rule.group_id) throw invalidInput({ why: 'Not enough parameters to build a valid rule.' });
  if (protocol !== null && !['tcp', 'udp', 'icmp'].includes(protocol))
    throw invalidInput({ why: `Invalid IP protocol ${protocol.slice(0, 40)}.` });
  if (protocol !== 'icmp' && first !== null && last !== null && first > last)
    throw invalidInput({ why: `Invalid port range ${first}:${last}. Former value cannot be greater than the later` });
  const ports = (value: number | null) => (value === -1 ? null : value);
  return {
    direction: 'ingress',
    security_group_id: parent,
    ethertype: range.version === 6 ? 'IPv6' : 'IPv4',
    protocol,
    port_range_min: ports(first),
    port_range_max: ports(last),
    ...(rule.group_id ? { remote_group_id: rule.group_id } : { remote_ip_prefix: cidr }),
  };
}

export async function createSecurityGroupRule(parts: NetworkingParts, call: Call<SecurityGroupRuleBody>): Promise<Reply> {
  const rule = call.body.security_group_rule;
  const parent = await show(parts, call, rule.parent_group_id);
  const remote = rule.group_id ? await show(parts, call, rule.group_id) : undefined;
  const body = { security_group_rule: ruleWish(rule, parent.id) };
  const made = asked<{ security_group_rule: RuleJson }>(parts, call, 'POST', '/v2.0/security-group-rules', { body });
  const { security_group_rule } = await saying(made, {
    409: (cause) => as(/quota/i.test(cause.message) ? 'forbidden' : 'invalid')(cause),
  });
  const groups = new Map(remote ? [[remote.id, remote]] : []);
  return { status: 200, body: { security_group_rule: ruleView(security_group_rule, groups) } };
}

export async function deleteSecurityGroupRule(parts: NetworkingParts, call: Call): Promise<Reply> {
  await asked(parts, call, 'DELETE', one('security-group-rules', idOf(call)));
  return { status: 202 };
}
