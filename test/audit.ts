import type { Database } from '../src/db/engine.ts';
import { endedStatuses } from '../src/db/tables/compute/migrations.ts';
import type { GuestInfo } from '../src/hypervisors/driver.ts';
import { readParts } from '../src/model/machine-parts.ts';
import { amountsOf } from '../src/model/resources.ts';
import type { Flavor } from '../src/model/server.ts';

/** What the audit looks at besides the database. */
export interface Audited {
  /** Hosts by name with the guests their hypervisors run. */
  readonly drivers: Readonly<Record<string, { guests(): Promise<readonly GuestInfo[]> }>>;
  /** Ports by the server they belong to. */
  readonly portOwners?: () => Promise<readonly string[]>;
  /** Whether jobs may still be on their way; false by default. */
  readonly jobsMayRun?: boolean;
  /** Servers may be in the middle of a task; false by default. */
  readonly tasksMayRun?: boolean;
}

/** Holds every count of the cloud against every other, by plain reading: claims, inventories, quota, groups, jobs, guests and ports.
 *  Answers one sentence for each thing that does not agree; none: all is well. */
export async function audit(db: Database, more: Audited): Promise<string[]> {
  const wrong: string[] = [];
  const q = db.read;
  const servers = await q.selectFrom('servers').selectAll().where('deleted', '=', 0).execute();
  const living = new Map(servers.map((row) => [row.uuid, row]));
  const hypervisors = await q.selectFrom('hypervisors').select(['uuid', 'host']).execute();
  const hostOf = new Map(hypervisors.map((row) => [row.uuid, row.host]));

  // Claims are those of living servers that stand on a host, and exactly what their flavors take.
  // A move that has not ended holds a claim of its own on the host it came from.
  const open = (await q.selectFrom('server_migrations').selectAll().execute()).filter(
    (row) => !endedStatuses.some((one) => one === row.status),
  );
  const moveOf = new Map(open.filter((row) => living.has(row.server_uuid)).map((row) => [row.server_uuid, row]));
  for (const row of open) {
    if (!living.has(row.server_uuid)) wrong.push(`migration ${row.id} of ${row.server_uuid}, which is no living server, is ${row.status}`);
    else if (!more.tasksMayRun && row.status !== 'finished') wrong.push(`migration ${row.id} of ${row.server_uuid} is still ${row.status}`);
    else if (row.status === 'finished' && !['resized', 'error'].includes(living.get(row.server_uuid)?.vm_state ?? ''))
      wrong.push(`migration ${row.id} waits for a confirm, its server ${row.server_uuid} is ${living.get(row.server_uuid)?.vm_state}`);
  }
  const movers = new Map([...moveOf.values()].map((row) => [row.uuid, row]));
  const allocations = await q.selectFrom('allocations').selectAll().execute();
  /** What a server on a flavor takes of its host: its root disk is no disk of the host when it is a volume. */
  const takes = (server: { image_id: string | null } | undefined, text: string) => {
    const flavor = JSON.parse(text) as Flavor;
    return amountsOf(server?.image_id === null ? { ...flavor, rootGiB: 0 } : flavor);
  };
  const claimed = new Map<string, Record<string, number>>();
  for (const row of allocations) {
    const server = living.get(row.consumer_uuid);
    const move = movers.get(row.consumer_uuid);
    if (move) {
      const old = takes(living.get(move.server_uuid), move.old_flavor ?? '');
      if (hostOf.get(row.provider_uuid) !== move.source_host)
        wrong.push(`migration ${move.id} holds a claim on another host than ${move.source_host}`);
      if (row.used !== old[row.resource_class as keyof typeof old])
        wrong.push(`migration ${move.id} claims ${row.used} ${row.resource_class}`);
    } else if (!server) wrong.push(`allocation of ${row.consumer_uuid}, which is no living server`);
    else if (server.host !== hostOf.get(row.provider_uuid))
      wrong.push(`allocation of ${row.consumer_uuid} on another host than ${server.host}`);
    const own = claimed.get(row.consumer_uuid) ?? {};
    own[row.resource_class] = row.used;
    claimed.set(row.consumer_uuid, own);
  }
  for (const server of servers) {
    const want = server.host === null ? {} : takes(server, server.flavor);
    const have: Record<string, number> = claimed.get(server.uuid) ?? {};
    for (const [name, amount] of Object.entries(want))
      if (amount !== (have[name] ?? 0)) wrong.push(`server ${server.uuid} claims ${have[name] ?? 0} ${name} instead of ${amount}`);
    if (server.host === null && claimed.has(server.uuid)) wrong.push(`server ${server.uuid} without a host has a claim`);
  }
  const consumers = await q.selectFrom('consumers').select('uuid').execute();
  for (const row of consumers)
    if (living.get(row.uuid)?.host == null && !movers.has(row.uuid)) wrong.push(`consumer ${row.uuid} has no server on a host`);

  // What inventories count as used is the sum of the claims, and within the capacity.
  const inventories = await q.selectFrom('inventories').selectAll().execute();
  for (const row of inventories) {
    const sum = allocations
      .filter((one) => one.provider_uuid === row.provider_uuid && one.resource_class === row.resource_class)
      .reduce((total, one) => total + one.used, 0);
    if (sum !== row.used) wrong.push(`${row.resource_class} of ${hostOf.get(row.provider_uuid)}: ${row.used} counted, ${sum} claimed`);
    if (row.used > row.capacity)
      wrong.push(`${row.resource_class} of ${hostOf.get(row.provider_uuid)}: ${row.used} of ${row.capacity}: overcommitted`);
  }

  // Cells and devices are held by those who have a claim on the same host, each CPU and device by one.
  const parts = await q.selectFrom('part_claims').selectAll().execute();
  const machines = await q.selectFrom('hypervisors').select(['uuid', 'stats']).execute();
  for (const { uuid, stats } of machines) {
    const [pinned, taken] = [new Set<number>(), new Map<string, number>()];
    for (const row of parts.filter((one) => one.provider_uuid === uuid)) {
      if (!allocations.some((one) => one.consumer_uuid === row.consumer_uuid && one.provider_uuid === uuid))
        wrong.push(`${row.consumer_uuid} holds cells or devices of ${hostOf.get(uuid)} without a claim there`);
      const { cells, devices } = readParts(row.held);
      for (const cpu of cells?.cells.flatMap((cell) => [...cell.pinning.values()]) ?? []) {
        if (pinned.has(cpu)) wrong.push(`CPU ${cpu} of ${hostOf.get(uuid)} is given twice`);
        pinned.add(cpu);
      }
      for (const { pool, count } of devices) taken.set(pool, (taken.get(pool) ?? 0) + count);
    }
    const { pci_device_pools: pools = [] } = JSON.parse(stats) as { pci_device_pools?: { count: number }[] };
    const have = pools.reduce((sum, pool) => sum + pool.count, 0);
    const held = [...taken.values()].reduce((sum, count) => sum + count, 0);
    if (held > have) wrong.push(`${held} devices of ${hostOf.get(uuid)} are given, which has ${have}`);
  }

  // Quota is what living servers take that are not deleted softly.
  const quota = new Map<string, number>();
  for (const server of servers) {
    if (server.soft_deleted_at !== null) continue; // it gave its quota back
    const own = JSON.parse(server.flavor) as Flavor;
    const move = moveOf.get(server.uuid);
    // Of a resize that may still go either way the larger flavor counts.
    const flavors = [own, ...[move?.old_flavor, move?.new_flavor].flatMap((text) => (text ? [JSON.parse(text) as Flavor] : []))];
    const flavor = { vcpus: Math.max(...flavors.map((one) => one.vcpus)), memoryMiB: Math.max(...flavors.map((one) => one.memoryMiB)) };
    for (const [name, amount] of Object.entries({ instances: 1, cores: flavor.vcpus, ram: flavor.memoryMiB })) {
      const key = `${server.project_id} ${name}`;
      quota.set(key, (quota.get(key) ?? 0) + amount);
    }
  }
  const usages = await q
    .selectFrom('quota_usages')
    .selectAll()
    .where('user_id', '=', '')
    .where('resource', 'in', ['instances', 'cores', 'ram'])
    .execute();
  for (const row of usages) {
    const key = `${row.project_id} ${row.resource}`;
    if (row.used !== (quota.get(key) ?? 0)) wrong.push(`quota ${key}: ${row.used} counted, ${quota.get(key) ?? 0} there`);
    quota.delete(key);
  }
  for (const [key, amount] of quota) if (amount > 0) wrong.push(`quota ${key}: ${amount} there, nothing counted`);

  // Group counters are the members that stand on each host, and keep the rule.
  const groups = await q.selectFrom('server_groups').selectAll().execute();
  const members = await q.selectFrom('server_group_members').selectAll().execute();
  const counters = await q.selectFrom('server_group_hosts').selectAll().execute();
  for (const member of members)
    if (!living.has(member.server_uuid)) wrong.push(`group ${member.group_uuid} has the deleted member ${member.server_uuid}`);
  for (const group of groups) {
    const byHost = new Map<string, number>();
    for (const member of members) {
      if (member.group_uuid !== group.uuid) continue;
      const move = moveOf.get(member.server_uuid);
      const hosts = new Set([living.get(member.server_uuid)?.host, ...(move ? [move.source_host, move.dest_host] : [])]);
      for (const host of hosts) if (host) byHost.set(host, (byHost.get(host) ?? 0) + 1);
    }
    for (const row of counters.filter((one) => one.group_uuid === group.uuid)) {
      if (row.members !== (byHost.get(row.host) ?? 0))
        wrong.push(`group ${group.name} on ${row.host}: ${row.members} counted, ${byHost.get(row.host) ?? 0} there`);
      byHost.delete(row.host);
      const most = (JSON.parse(group.rules) as { max_server_per_host?: number }).max_server_per_host ?? 1;
      if (group.policy === 'anti-affinity' && row.members > most)
        wrong.push(`group ${group.name} on ${row.host}: ${row.members} members of at most ${most}`);
    }
    for (const [host, count] of byHost) wrong.push(`group ${group.name} on ${host}: ${count} there, no counter`);
    const used = counters.filter((one) => one.group_uuid === group.uuid && one.members > 0);
    const moving = members.some((member) => member.group_uuid === group.uuid && moveOf.has(member.server_uuid));
    if (group.policy === 'affinity' && used.length > 1 && !moving) wrong.push(`group ${group.name} stands on ${used.length} hosts`);
  }

  // Nothing waits, and no state is without an owner.
  if (!more.jobsMayRun) {
    const jobs = await q
      .selectFrom('jobs')
      .select(['kind', 'server_uuid', 'status'])
      .where('status', '<>', 'failed')
      .where('kind', '<>', 'settle-request') // of a request that nobody knows the end of: it looks again much later
      .execute();
    for (const job of jobs) wrong.push(`a job ${job.kind} of ${job.server_uuid} is still ${job.status}`);
  }
  const secret = await q.selectFrom('jobs').select('uuid').where('status', '=', 'failed').where('input', '<>', '{}').execute();
  for (const row of secret) wrong.push(`failed job ${row.uuid} keeps its input`);
  for (const server of servers) {
    if (!more.tasksMayRun && server.task_state !== null) wrong.push(`server ${server.uuid} is still ${server.task_state}`);
    if (!more.tasksMayRun && server.vm_state === 'building') wrong.push(`server ${server.uuid} is still building`);
    if (server.task_state === null && (server.soft_deleted_at !== null) !== (server.vm_state === 'soft-delete'))
      wrong.push(`server ${server.uuid} is ${server.vm_state}, and ${server.soft_deleted_at === null ? 'was not' : 'was'} deleted softly`);
    if (server.vm_state === 'error' && server.fault === null) wrong.push(`server ${server.uuid} is in error without a reason`);
    if (server.vm_state === 'active' && server.host === null) wrong.push(`server ${server.uuid} is active nowhere`);
  }

  // Hypervisors run exactly the servers that stand on them.
  const seen = new Map<string, string>();
  for (const [host, driver] of Object.entries(more.drivers)) {
    for (const guest of await driver.guests()) {
      const server = living.get(guest.uuid);
      if (!server) wrong.push(`guest ${guest.uuid} on ${host} has no server`);
      else if (server.host !== host) wrong.push(`guest ${guest.uuid} runs on ${host}, its server stands on ${server.host}`);
      else if (server.epoch !== guest.epoch)
        wrong.push(`guest ${guest.uuid} on ${host} has epoch ${guest.epoch}, its server ${server.epoch}`);
      if (guest.power === 'running') seen.set(guest.uuid, host);
    }
  }
  for (const server of servers)
    if (server.vm_state === 'active' && server.host !== null && more.drivers[server.host] && !seen.has(server.uuid))
      wrong.push(`server ${server.uuid} is active on ${server.host}, which does not run it`);

  // Ports belong to living servers that are not in error.
  for (const owner of (await more.portOwners?.()) ?? []) {
    const server = living.get(owner);
    if (!server) wrong.push(`a port of ${owner} is left, which is no living server`);
    else if (server.vm_state === 'error' && server.host === null) wrong.push(`a port of ${owner} is left, whose build failed`);
  }
  return wrong;
}
