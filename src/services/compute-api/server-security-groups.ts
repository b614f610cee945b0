import type { Call, Reply } from '../../http/call.ts';
import {
  groupNotApplicable,
  groupNotOnServer,
  serverGroupAmbiguous,
  serverGroupUnknown,
  serverWithoutPorts,
} from '../../model/errors-interfaces.ts';
import { refreshNetwork } from './network-refresh.ts';
import { asked, type GroupJson, listOf, type NetworkingParts, one, type PortJson, portsOfServer } from './networking.ts';
import { serverOf } from './server-find.ts';
import { groupView } from './views/security-groups.ts';

/** Groups of these ids and those their rules name, in two questions however many there are. */
export async function groupsById(parts: NetworkingParts, call: Call, ids: readonly string[]): Promise<Map<string, GroupJson>> {
  const found = new Map<string, GroupJson>();
  const load = async (wanted: readonly string[]) => {
    const missing = [...new Set(wanted)].filter((id) => !found.has(id));
    if (missing.length === 0) return;
    const words = missing.map((id) => ['id', id] as const);
    for (const group of await listOf<GroupJson>(parts, call, 'security-groups', words)) found.set(group.id, group);
  };
  await load(ids);
  await load([...found.values()].flatMap((group) => group.security_group_rules.flatMap((rule) => rule.remote_group_id ?? [])));
  return found;
}

/** GET /servers/{id}/os-security-groups: what is on its ports.  Spec: compute api-ref "List Security Groups By Server". */
export async function listServerSecurityGroups(parts: NetworkingParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const ports = await portsOfServer(parts, call, server.uuid);
  const ids = [...new Set(ports.flatMap((port) => port.security_groups))];
  const groups = await groupsById(parts, call, ids);
  const views = ids.flatMap((id) => {
    const group = groups.get(id);
    return group ? [groupView(group, groups)] : [];
  });
  return { status: 200, body: { security_groups: views } };
}

/** A group by id or name. Throws 404 when there is none, 409 when the name has several. */
async function named(parts: NetworkingParts, call: Call, name: string, project: string): Promise<GroupJson> {
  const [byId] = await listOf<GroupJson>(parts, call, 'security-groups', [['id', name]]);
  if (byId) return byId;
  const words = [
    ['name', name],
    ['project_id', project],
  ] as const;
  const [group, second] = await listOf<GroupJson>(parts, call, 'security-groups', words);
  if (!group) throw serverGroupUnknown({ name, project });
  if (second) throw serverGroupAmbiguous({ name });
  return group;
}

const setGroups = (parts: NetworkingParts, call: Call, port: PortJson, security_groups: readonly string[]) =>
  asked(parts, call, 'PUT', one('ports', port.id), { body: { port: { security_groups } } });

/** addSecurityGroup: to every port of the server.  Spec: compute api-ref "Add Security Group To A Server". */
export async function addSecurityGroup(parts: NetworkingParts, call: Call<{ addSecurityGroup: { name: string } }>): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const group = await named(parts, call, call.body.addSecurityGroup.name, server.projectId);
  const ports = await portsOfServer(parts, call, server.uuid);
  if (ports.length === 0) throw serverWithoutPorts({ id: server.uuid });
  const open = ports.find((port) => port.port_security_enabled === false || port.fixed_ips.length === 0);
  if (open) throw groupNotApplicable({ id: open.id });
  for (const port of ports)
    if (!port.security_groups.includes(group.id)) await setGroups(parts, call, port, [...port.security_groups, group.id]);
  await refreshNetwork(parts, server.uuid);
  return { status: 202 };
}

/** removeSecurityGroup: from every port of the server that has it. Throws 404 when none has.  Spec: as above. */
export async function removeSecurityGroup(parts: NetworkingParts, call: Call<{ removeSecurityGroup: { name: string } }>): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const { name } = call.body.removeSecurityGroup;
  const group = await named(parts, call, name, server.projectId);
  const ports = (await portsOfServer(parts, call, server.uuid)).filter((port) => port.security_groups.includes(group.id));
  if (ports.length === 0) throw groupNotOnServer({ name, id: server.uuid });
  for (const port of ports)
    await setGroups(
      parts,
      call,
      port,
      port.security_groups.filter((id) => id !== group.id),
    );
  await refreshNetwork(parts, server.uuid);
  return { status: 202 };
}
