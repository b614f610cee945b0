import { sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import { poolSize } from '../../db/tables/network/addresses.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { networkNotFound } from '../../model/errors-network.ts';
import { must, pieces } from './access.ts';
import { selectFields } from './listing.ts';
import { findNetwork, type NetworkRow } from './networks.ts';
import type { NetworkParts } from './parts.ts';
import type { SubnetRow } from './subnets.ts';

/** How many addresses each subnet has given away. */
async function usedIn(db: Query, subnets: readonly SubnetRow[]): Promise<ReadonlyMap<string, number>> {
  const used = new Map<string, number>();
  for (const some of pieces(subnets.map((subnet) => subnet.uuid))) {
    const rows = await db
      .selectFrom('net_addresses')
      .select(['subnet_uuid', sql<number>`count(*)`.as('used')])
      .where('subnet_uuid', 'in', some)
      .where('port_uuid', 'is not', null)
      .groupBy('subnet_uuid')
      .execute();
    for (const row of rows) used.set(row.subnet_uuid, Number(row.used));
  }
  return used;
}

async function views(db: Query, networks: readonly NetworkRow[], version: number | undefined): Promise<object[]> {
  const subnets: SubnetRow[] = [];
  for (const some of pieces(networks.map((network) => network.uuid)))
    subnets.push(...(await db.selectFrom('net_subnets').selectAll().where('network_uuid', 'in', some).orderBy('id').execute()));
  const wanted = subnets.filter((subnet) => version === undefined || subnet.ip_version === version);
  const used = await usedIn(db, wanted);
  return networks.flatMap((network) => {
    const own = wanted
      .filter((subnet) => subnet.network_uuid === network.uuid)
      .map((subnet) => ({
        subnet_id: subnet.uuid,
        subnet_name: subnet.name,
        ip_version: subnet.ip_version,
        cidr: subnet.cidr,
        total_ips: poolSize(subnet),
        used_ips: used.get(subnet.uuid) ?? 0,
      }));
    if (version !== undefined && own.length === 0) return [];
    return {
      network_id: network.uuid,
      network_name: network.name,
      project_id: network.project_id,
      tenant_id: network.project_id,
      total_ips: own.reduce((sum, subnet) => sum + subnet.total_ips, 0),
      used_ips: own.reduce((sum, subnet) => sum + subnet.used_ips, 0),
      subnet_ip_availability: own,
    };
  });
}

const COLUMNS = { network_id: 'uuid', network_name: 'name', project_id: 'project_id', tenant_id: 'project_id' } as const;

/** `GET /v2.0/network-ip-availabilities`: addresses of all networks, for operators.  Spec: network api-ref, "Network IP availability". */
export async function listAvailabilities(parts: NetworkParts, call: Call): Promise<Reply> {
  must(call, 'get_network_ip_availability', {});
  let query = parts.db.read.selectFrom('net_networks').selectAll().orderBy('id');
  let version: number | undefined;
  for (const [word, values] of Object.entries(call.query)) {
    if (word === 'fields') continue;
    if (word === 'ip_version') {
      version = Number(values.at(-1));
      if (version !== 4 && version !== 6)
        throw invalidInput({ why: `Invalid input for ip_version. Reason: '${String(values.at(-1)).slice(0, 20)}' is neither 4 nor 6.` });
    } else if (Object.hasOwn(COLUMNS, word)) query = query.where(COLUMNS[word as keyof typeof COLUMNS], 'in', [...values]);
    else throw invalidInput({ why: `Invalid input for operation: ['${word.slice(0, 50)}'] is invalid attribute for filtering.` });
  }
  const found = await views(parts.db.read, await query.execute(), version);
  return { status: 200, body: { network_ip_availabilities: found.map((one) => selectFields(call, one)) } };
}

export async function showAvailability(parts: NetworkParts, call: Call): Promise<Reply> {
  must(call, 'get_network_ip_availability', {});
  const id = call.params.id ?? '';
  const network = await findNetwork(parts.db.read, id);
  if (!network) throw networkNotFound({ id: id.slice(0, 100) });
  const [found] = await views(parts.db.read, [network], undefined);
  return { status: 200, body: { network_ip_availability: found } };
}
