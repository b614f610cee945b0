import { sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { badNetworkInput, tagNotFound } from '../../model/errors-network.ts';
import { must, mustBeRevision, type Table, touch } from './access.ts';
import { listOf, tag, unique } from './attributes.ts';
import { visibleFloatingIp } from './floating-ips.ts';
import { networkTarget, visibleNetwork } from './networks.ts';
import type { NetworkParts } from './parts.ts';
import { visiblePort } from './ports.ts';
import { visibleRouter } from './router-rows.ts';
import { visibleGroup } from './security-groups.ts';
import { visibleSubnet } from './subnets.ts';

interface Found {
  readonly table: Table;
  readonly rule: string;
  readonly row: { readonly uuid: string; readonly tags: string };
  readonly target: Readonly<Record<string, string | null | undefined>>;
}
const MOST = 50;

/** The object that `/v2.0/{plural}/{id}/tags` is about. */
async function find(parts: NetworkParts, call: Call): Promise<Found> {
  const id = call.params.id ?? '';
  switch (call.route.split('/')[2]) {
    case 'networks': {
      const row = await visibleNetwork(parts, call, id);
      return { table: 'net_networks', rule: 'update_network', row, target: networkTarget(row) };
    }
    case 'subnets':
      return { table: 'net_subnets', rule: 'update_subnet', ...(await visibleSubnet(parts, call, id)) };
    case 'ports':
      return { table: 'net_ports', rule: 'update_port', ...(await visiblePort(parts, call, id)) };
    case 'routers': {
      const row = await visibleRouter(parts, call, id);
      return { table: 'net_routers', rule: 'update_router', row, target: { project_id: row.project_id } };
    }
    case 'floatingips': {
      const row = await visibleFloatingIp(parts, call, id);
      return { table: 'net_floating_ips', rule: 'update_floatingip', row, target: { project_id: row.project_id } };
    }
    default: {
      const row = await visibleGroup(parts, call, id);
      return { table: 'net_security_groups', rule: 'update_security_group', row, target: { project_id: row.project_id } };
    }
  }
}

const read = (json: string) => JSON.parse(json) as string[];

export async function listTags(parts: NetworkParts, call: Call): Promise<Reply> {
  return { status: 200, body: { tags: read((await find(parts, call)).row.tags) } };
}

export async function showTag(parts: NetworkParts, call: Call): Promise<Reply> {
  const { row } = await find(parts, call);
  const name = call.params.tag ?? '';
  if (!read(row.tags).includes(name)) throw tagNotFound({ tag: name.slice(0, 100) });
  return { status: 204 };
}

async function change(parts: NetworkParts, call: Call, alter: (tags: readonly string[]) => readonly string[]): Promise<string[]> {
  const { table, rule, row, target } = await find(parts, call);
  must(call, rule, target);
  return parts.db.transaction(async (tx) => {
    await touch(tx, table, row.uuid, parts.clock.now());
    const now = await readTags(tx, table, row.uuid);
    mustBeRevision(call, { revision: Number(now?.revision ?? 1) - 1 });
    const tags = [...new Set(alter(read(now?.tags ?? '[]')))].sort();
    if (tags.length > MOST) throw badNetworkInput({ why: `The number of tags exceed the per-resource limit of ${MOST}` });
    await sql`update ${sql.table(table)} set tags = ${JSON.stringify(tags)} where uuid = ${row.uuid}`.execute(tx);
    return tags;
  });
}

async function readTags(tx: Query, table: Table, uuid: string): Promise<{ tags: string; revision: number } | undefined> {
  const found = await sql<{ tags: string; revision: number }>`select tags, revision from ${sql.table(table)} where uuid = ${uuid}`.execute(
    tx,
  );
  return found.rows[0];
}

const tagsIn = (body: unknown) => {
  const given = (body as { tags?: unknown }).tags; // the route's shape promises an object
  if (given === undefined) throw invalidInput({ why: "Invalid tags body: 'tags' is missing" });
  return unique(listOf(tag, MOST))(given, 'tags');
};

export async function replaceTags(parts: NetworkParts, call: Call): Promise<Reply> {
  const wanted = tagsIn(call.body);
  return { status: 200, body: { tags: await change(parts, call, () => wanted) } };
}
export async function addTags(parts: NetworkParts, call: Call): Promise<Reply> {
  const wanted = tagsIn(call.body);
  return { status: 200, body: { tags: await change(parts, call, (tags) => [...tags, ...wanted]) } };
}
export async function addTag(parts: NetworkParts, call: Call): Promise<Reply> {
  const name = tag(call.params.tag, 'tag');
  await change(parts, call, (tags) => [...tags, name]);
  return { status: 201 };
}
export async function removeTag(parts: NetworkParts, call: Call): Promise<Reply> {
  const name = call.params.tag ?? '';
  await change(parts, call, (tags) => {
    if (!tags.includes(name)) throw tagNotFound({ tag: name.slice(0, 100) });
    return tags.filter((other) => other !== name);
  });
  return { status: 204 };
}
export async function removeTags(parts: NetworkParts, call: Call): Promise<Reply> {
  await change(parts, call, () => []);
  return { status: 204 };
}
