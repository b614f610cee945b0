import { type Selectable, sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import { insertIgnore } from '../../db/statements.ts';
import { giveQuota, takeQuota } from '../../db/tables/network/quotas.ts';
import type { NetSecurityGroupRulesTable } from '../../db/tables/network/tables.ts';
import type { Call, Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { badNetworkInput, ruleExists, securityGroupNotFound, securityGroupRuleNotFound } from '../../model/errors-network.ts';
import { formatCidr, parseCidr } from '../../model/ip-address.ts';
import { commonView, elevated, must, mustSee, ownerOf } from './access.ts';
import {
  atCreate,
  cidrAsGiven,
  int,
  needed,
  objectsIn,
  oneOfWords,
  orNull,
  type Reader,
  readAttributes,
  text,
  uuid,
  type Values,
} from './attributes.ts';
import { commonColumns, intColumn, type Listing, listAnswer, listRows, selectFields, textColumn } from './listing.ts';
import type { NetworkParts } from './parts.ts';

export type RuleRow = Selectable<NetSecurityGroupRulesTable>;
/** Protocols by name, and the numbers they stand for.  Spec: network api-ref, security group rule "protocol". */
const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  ipip: 4,
  tcp: 6,
  egp: 8,
  udp: 17,
  dccp: 33,
  'ipv6-encap': 41,
  'ipv6-route': 43,
  'ipv6-frag': 44,
  rsvp: 46,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  icmpv6: 58,
  'ipv6-nonxt': 59,
  'ipv6-opts': 60,
  ospf: 89,
  pgm: 113,
  vrrp: 112,
  sctp: 132,
  udplite: 136,
};
const PORTED = new Set([6, 17, 33, 132, 136]);
const protocol: Reader<string | null> = (value, name) => {
  if (value === null || value === '' || value === 'any') return null;
  const given = typeof value === 'number' ? String(value) : text(40)(value, name).toLowerCase();
  if (Object.hasOwn(PROTOCOLS, given)) return given === 'icmpv6' ? 'ipv6-icmp' : given;
  if (/^\d{1,3}$/.test(given) && Number(given) <= 255) return String(Number(given));
  throw badNetworkInput({ why: `Security group rule protocol ${given} not supported.`, type: 'SecurityGroupRuleInvalidProtocol' });
};
/** `ipv4` as well as `IPv4`. */
const ethertype: Reader<'IPv4' | 'IPv6'> = (value, name) =>
  oneOfWords('IPv4', 'IPv6')(typeof value === 'string' ? value.replace(/^ipv/i, 'IPv') : value, name);
const attributes = {
  security_group_id: needed(uuid),
  direction: needed(oneOfWords('ingress', 'egress')),
  ethertype: atCreate(ethertype),
  protocol: atCreate(protocol),
  port_range_min: atCreate(orNull(int(-1, 65_535))),
  port_range_max: atCreate(orNull(int(-1, 65_535))),
  remote_ip_prefix: atCreate(orNull(cidrAsGiven)),
  remote_group_id: atCreate(orNull(uuid)),
  description: atCreate(orNull(text())),
  project_id: atCreate(text()),
  tenant_id: atCreate(text()),
};
type Wish = Values<typeof attributes>;

export const ruleListing: Listing = {
  table: 'net_security_group_rules',
  plural: 'security_group_rules',
  hasTags: false,
  columns: {
    id: commonColumns.id,
    description: commonColumns.description,
    project_id: commonColumns.project_id,
    tenant_id: commonColumns.tenant_id,
    revision_number: commonColumns.revision_number,
    security_group_id: textColumn('group_uuid'),
    direction: textColumn('direction'),
    ethertype: textColumn('ethertype'),
    protocol: textColumn('protocol'),
    port_range_min: intColumn('port_min'),
    port_range_max: intColumn('port_max'),
    remote_ip_prefix: textColumn('remote_ip_prefix'),
    remote_group_id: textColumn('remote_group_uuid'),
  },
};

export const ruleView = (row: Omit<RuleRow, 'id'>) => ({
  id: row.uuid,
  ...commonView(row),
  security_group_id: row.group_uuid,
  direction: row.direction,
  ethertype: row.ethertype,
  protocol: row.protocol,
  port_range_min: row.port_min,
  port_range_max: row.port_max,
  remote_ip_prefix: row.remote_ip_prefix,
  normalized_cidr: row.remote_ip_prefix === null ? null : normalized(row.remote_ip_prefix),
  remote_group_id: row.remote_group_uuid,
  remote_address_group_id: null,
});
const normalized = (prefix: string) => {
  const read = parseCidr(prefix);
  return read ? formatCidr(read) : prefix;
};

/** A whole row out of a wish. Throws what contradicts itself in it (400). */
export function newRuleRow(projectId: string, group: string, wish: Omit<Wish, 'security_group_id'>, now: number) {
  const kind = wish.ethertype ?? 'IPv4';
  const min = wish.port_range_min ?? null;
  const max = wish.port_range_max ?? null;
  const name = wish.protocol ?? null;
  const number = name === null ? undefined : (PROTOCOLS[name] ?? Number(name));
  const prefix = wish.remote_ip_prefix ?? null;
  const remoteGroup = wish.remote_group_id ?? null;
  if (prefix !== null && remoteGroup !== null)
    throw badNetworkInput({ why: 'Only remote_ip_prefix or remote_group_id may be provided.', type: 'SecurityGroupMultipleRemoteEntites' });
  if (prefix !== null && parseCidr(prefix)?.version !== (kind === 'IPv4' ? 4 : 6))
    throw badNetworkInput({ why: `Conflicting value ethertype ${kind} for CIDR ${prefix}`, type: 'SecurityGroupRuleParameterConflict' });
  if (number === 58 && kind === 'IPv4' && name !== 'icmp')
    throw badNetworkInput({ why: `Invalid ethertype ${kind} for protocol ${name}.`, type: 'SecurityGroupEthertypeConflictWithProtocol' });
  mustBeGoodPorts(name, number, min, max);
  const fingerprint = [
    wish.direction,
    kind,
    number === 58 || (number === 1 && kind === 'IPv6') ? 'icmp6' : (number ?? ''),
    min ?? '',
    max ?? '',
    prefix === null ? '' : normalized(prefix),
    remoteGroup ?? '',
  ].join('|');
  return {
    uuid: newUuid(),
    project_id: projectId,
    group_uuid: group,
    direction: wish.direction ?? 'ingress',
    ethertype: kind,
    protocol: name,
    port_min: min,
    port_max: max,
    remote_ip_prefix: prefix,
    remote_group_uuid: remoteGroup,
    description: wish.description ?? '',
    fingerprint,
    revision: 0,
    created_at: now,
    updated_at: now,
  };
}

function mustBeGoodPorts(name: string | null, number: number | undefined, min: number | null, max: number | null): void {
  if (min === null && max === null) return;
  if (number === undefined)
    throw badNetworkInput({ why: 'Must also specify protocol if port range is given.', type: 'SecurityGroupProtocolRequiredWithPorts' });
  if (PORTED.has(number)) {
    if (min === null || max === null || min > max || min < 0)
      throw badNetworkInput({
        why: 'For TCP/UDP protocols, port_range_min must be <= port_range_max',
        type: 'SecurityGroupInvalidPortRange',
      });
    if (min === 0 && number !== 17 && number !== 6)
      throw badNetworkInput({ why: 'Invalid value for port 0', type: 'SecurityGroupInvalidPortValue' });
    return;
  }
  if (number === 1 || number === 58) {
    for (const [field, value] of [
      ['port_range_min', min],
      ['port_range_max', max],
    ] as const)
      if (value !== null && (value < 0 || value > 255))
        throw badNetworkInput({
          why: `Invalid value for ICMP ${field} ${value}: it must be 0 to 255.`,
          type: 'SecurityGroupInvalidIcmpValue',
        });
    if (min === null && max !== null)
      throw badNetworkInput({
        why: `ICMP code (port-range-max) ${max} is provided but ICMP type (port-range-min) is missing.`,
        type: 'SecurityGroupMissingIcmpType',
      });
    return;
  }
  throw badNetworkInput({
    why: `Invalid protocol ${name} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP.`,
    type: 'SecurityGroupInvalidProtocolForPort',
  });
}

export async function listRules(parts: NetworkParts, call: Call): Promise<Reply> {
  const mine = call.caller.projectId ?? '';
  const visible = elevated(call) ? [] : [sql<boolean>`project_id = ${mine}`];
  const { rows, links } = await listRows<RuleRow>(parts.db, call, ruleListing, visible);
  return listAnswer(call, ruleListing, rows.map(ruleView), links);
}

async function visibleRule(parts: NetworkParts, call: Call): Promise<RuleRow> {
  const id = call.params.id ?? '';
  const row = await parts.db.read
    .selectFrom('net_security_group_rules')
    .selectAll()
    .where('uuid', '=', id.toLowerCase())
    .executeTakeFirst();
  const missing = () => securityGroupRuleNotFound({ id: id.slice(0, 100) });
  if (!row) throw missing();
  mustSee(call, 'get_security_group_rule', { project_id: row.project_id }, missing);
  return row;
}

export async function showRule(parts: NetworkParts, call: Call): Promise<Reply> {
  return { status: 200, body: { security_group_rule: selectFields(call, ruleView(await visibleRule(parts, call))) } };
}

export async function createRules(parts: NetworkParts, call: Call): Promise<Reply> {
  const { items, bulk } = objectsIn(call.body, 'security_group_rule', 'security_group_rules');
  const now = parts.clock.now();
  const wishes = items.map((item) => {
    const wish = readAttributes(attributes, item, 'create');
    must(call, 'create_security_group_rule', { project_id: ownerOf(call, wish) });
    return wish;
  });
  const all = elevated(call);
  const mayUse = async (tx: Query, id: string, owner: string) => {
    const group = await tx.selectFrom('net_security_groups').select('project_id').where('uuid', '=', id).executeTakeFirst();
    if (!group || (!all && group.project_id !== owner)) throw securityGroupNotFound({ id });
    return group;
  };
  const rows = await parts.db.transaction(async (tx) => {
    const made: ReturnType<typeof newRuleRow>[] = [];
    for (const wish of wishes) {
      const owner = ownerOf(call, wish);
      const group = wish.security_group_id ?? '';
      const { project_id } = await mayUse(tx, group, owner);
      if (wish.remote_group_id) await mayUse(tx, wish.remote_group_id, owner);
      // The rule is its group's: an admin who adds one to another project's group does not own it.
      const row = newRuleRow(all && wish.project_id === undefined && wish.tenant_id === undefined ? project_id : owner, group, wish, now);
      await takeQuota(tx, parts.db.kind, parts.quotas, row.project_id, 'security_group_rule', 1);
      if (!(await insertIgnore(tx, parts.db.kind, 'net_security_group_rules', row))) {
        const same = await tx
          .selectFrom('net_security_group_rules')
          .select('uuid')
          .where('group_uuid', '=', group)
          .where('fingerprint', '=', row.fingerprint)
          .executeTakeFirst();
        throw ruleExists({ id: same?.uuid ?? 'unknown' });
      }
      if (!(await raise(tx, group, now))) throw securityGroupNotFound({ id: group });
      made.push(row);
    }
    return made;
  });
  const views = rows.map(ruleView);
  return { status: 201, body: bulk ? { security_group_rules: views } : { security_group_rule: views[0] } };
}

/** A change of a group's rules is a change of the group. */
async function raise(tx: Query, group: string, now: number): Promise<boolean> {
  const done = await tx
    .updateTable('net_security_groups')
    .set((eb) => ({ revision: eb('revision', '+', 1), updated_at: now }))
    .where('uuid', '=', group)
    .executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

export async function deleteRule(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleRule(parts, call);
  must(call, 'delete_security_group_rule', { project_id: row.project_id });
  await parts.db.transaction(async (tx) => {
    const gone = await tx.deleteFrom('net_security_group_rules').where('uuid', '=', row.uuid).executeTakeFirst();
    if (gone.numDeletedRows === 0n) throw securityGroupRuleNotFound({ id: row.uuid });
    await giveQuota(tx, row.project_id, 'security_group_rule', 1);
    await raise(tx, row.group_uuid, parts.clock.now());
  });
  return { status: 204 };
}
