import { audit } from '../audit.ts';
import { auditNeighbours } from '../audit-neighbours.ts';
import type { Asker } from './asker.ts';
import type { ChaosCloud } from './cloud.ts';

/** What of a cloud is looked at. */
export type Looked = Pick<ChaosCloud, 'db' | 'hosts' | 'guestsOf' | 'journalOf' | 'real'> & {
  readonly house: Pick<ChaosCloud['house'], 'dataDir'>;
};

/** Waits for a list of what is missing to become empty; answers what is left of it at the end of the time. */
export async function patiently(look: () => Promise<string[]>, ms: number, everyMs = 500): Promise<string[]> {
  const end = performance.now() + ms;
  for (;;) {
    const left = await look().catch((cause) => [`the audit could not look: ${cause}`]);
    if (left.length === 0 || performance.now() > end) return left;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** What is still on its way: jobs, tasks, moves. */
export async function unrest({ db }: Pick<Looked, 'db'>): Promise<string[]> {
  const jobs = await db.read.selectFrom('jobs').selectAll().where('status', '<>', 'failed').execute();
  const servers = await db.read.selectFrom('servers').selectAll().where('deleted', '=', 0).execute();
  const tasks = await db.read.selectFrom('volume_tasks').selectAll().execute();
  return [
    ...jobs.map((one) => `job ${one.kind} of ${one.server_uuid} is ${one.status}, attempt ${one.attempt}: ${one.progress}`),
    ...servers
      .filter((one) => one.task_state !== null || one.vm_state === 'building')
      .map((one) => `server ${one.uuid} on ${one.host} is ${one.vm_state} ${one.task_state}`),
    ...tasks.map((one) => `volume task ${one.kind} of ${one.target}`),
  ];
}

const POWER: Readonly<Record<string, readonly string[]>> = {
  active: ['running'],
  stopped: ['shutdown', 'crashed'],
  paused: ['paused'],
  suspended: ['suspended'],
  rescued: ['running'],
  'soft-delete': ['shutdown', 'crashed'],
};

/** Everything held against everything else: the database, the services beside us, and what is on the hosts. */
export async function auditAll(cloud: Looked): Promise<string[]> {
  const { db, hosts, house } = cloud;
  const guestsOf = (host: string) =>
    cloud
      .guestsOf(host)
      .filter((guest) => guest.power !== null)
      .map((guest) => ({
        ...{ uuid: guest.spec.uuid, epoch: guest.spec.epoch, power: guest.power ?? 'pending', known: true },
        ...{ forwards: [], vncSocket: null, pid: null },
      }));
  const drivers = Object.fromEntries(hosts.map((host) => [host, { guests: async () => guestsOf(host) }]));
  const wrong = [...(await audit(db, { drivers })), ...(await auditNeighbours(db, house.dataDir('api')))];
  const servers = await db.read.selectFrom('servers').selectAll().where('deleted', '=', 0).execute();
  const living = new Map(servers.map((row) => [row.uuid, row]));
  const powers = new Map(hosts.flatMap((host) => guestsOf(host).map((guest) => [`${guest.uuid} ${host}`, guest.power] as const)));
  for (const server of servers) {
    const wanted = POWER[server.vm_state];
    const power = powers.get(`${server.uuid} ${server.host}`);
    if (wanted && server.host !== null && !wanted.includes(power ?? 'shutdown'))
      wrong.push(`server ${server.uuid} is ${server.vm_state}, its guest on ${server.host} is ${power ?? 'not there'}`);
  }
  for (const host of hosts) {
    const entries = new Map(cloud.journalOf(host).map((entry) => [entry.uuid, entry]));
    for (const entry of entries.values()) {
      const server = living.get(entry.uuid);
      if (!server) wrong.push(`${host} remembers ${entry.uuid} as ${entry.state}, which is no living server`);
      else if (entry.state !== 'parked' && entry.state !== 'destroyed' && server.host !== host)
        wrong.push(`${host} remembers ${entry.uuid} as ${entry.state}, which stands on ${server.host}`);
    }
    for (const guest of cloud.guestsOf(host)) {
      const server = living.get(guest.spec.uuid);
      if (!server) wrong.push(`disks of ${guest.spec.uuid} are left on ${host}, which is no living server`);
      else if (server.host !== host && entries.get(guest.spec.uuid)?.state !== 'parked')
        wrong.push(`disks of ${guest.spec.uuid} are left on ${host}, which stands on ${server.host}`);
    }
    for (const server of servers)
      if (
        server.host === host &&
        server.vm_state !== 'error' &&
        !cloud.guestsOf(host).some((one) => one.spec.uuid === server.uuid && one.disks)
      )
        wrong.push(`server ${server.uuid} is ${server.vm_state} on ${host}, which has no disks of it`);
  }
  return [...wrong, ...(cloud.real?.astray() ?? [])];
}

/** Deletes all there is, as an operator would, but `stay.images`; answers what did not go. `stay.volumes` do not go with their servers. */
export async function wipe(
  cloud: Looked,
  demo: Asker,
  admin: Asker,
  stay: { images: ReadonlySet<string>; volumes: ReadonlySet<string> },
): Promise<string[]> {
  const { db } = cloud;
  const servers = () =>
    db.read.selectFrom('servers').select(['uuid', 'vm_state', 'task_state', 'fault']).where('deleted', '=', 0).execute();
  const refusals = new Map<string, string>();
  const asked = new Set<string>();
  const left = await patiently(
    async () => {
      const rows = await servers();
      for (const row of rows) {
        if (row.task_state === 'deleting') continue;
        await admin.ask('POST', `/v2.1/servers/${row.uuid}/action`, { unlock: null });
        // A soft delete leaves it here, and may fail of its guest; what is still here is deleted for good.
        const answer = asked.has(row.uuid)
          ? await admin.ask('POST', `/v2.1/servers/${row.uuid}/action`, { forceDelete: null })
          : await admin.ask('DELETE', `/v2.1/servers/${row.uuid}`);
        asked.add(row.uuid);
        if (![202, 204, 404].includes(answer.status)) refusals.set(row.uuid, `${answer.status} ${answer.text}`);
      }
      return rows.map(
        (row) =>
          `server ${row.uuid} cannot be deleted: ${row.vm_state} ${row.task_state} ${refusals.get(row.uuid) ?? ''} ${row.fault ?? ''}`,
      );
    },
    120_000,
    1000,
  );
  // What a server brought with it goes with it: only volumes that somebody made by themselves are left.
  // One with snapshots (images of a server that boots from a volume) cannot go.
  const nameless = await patiently(async () => {
    const rows = await db.read.selectFrom('volumes').selectAll().execute();
    const parents = new Set((await db.read.selectFrom('volume_snapshots').select('volume_uuid').execute()).map((one) => one.volume_uuid));
    return rows
      .filter((one) => (!one.name || one.name.endsWith('-blank-vol')) && !stay.volumes.has(one.uuid) && !parents.has(one.uuid))
      .map((one) => `volume ${one.uuid} (${one.status}) was its server's, and is left`);
  }, 20_000);
  for (const row of await db.read.selectFrom('volume_snapshots').select('uuid').execute())
    await demo.ask('DELETE', `/volume/v3/snapshots/${row.uuid}`);
  const volumes = await patiently(
    async () => {
      const rows = await db.read.selectFrom('volumes').select(['uuid', 'status']).execute();
      for (const row of rows) if (row.status !== 'deleting') await demo.ask('DELETE', `/volume/v3/volumes/${row.uuid}`);
      return rows.map((row) => `volume ${row.uuid} cannot be deleted: ${row.status}`);
    },
    60_000,
    1000,
  );
  for (const image of await db.read.selectFrom('images').select('uuid').where('deleted', '=', 0).execute())
    if (!stay.images.has(image.uuid)) await admin.ask('DELETE', `/image/v2/images/${image.uuid}`);
  for (const group of await db.read.selectFrom('server_groups').select('uuid').execute())
    await admin.ask('DELETE', `/v2.1/os-server-groups/${group.uuid}`);
  return [...left, ...nameless, ...volumes];
}

/** What is still somewhere though all was deleted. */
export async function leftovers(cloud: Looked): Promise<string[]> {
  const { db } = cloud;
  const wrong = await auditAll(cloud);
  for (const table of ['allocations', 'block_devices', 'volume_attachments', 'server_group_hosts', 'server_shelves'] as const) {
    const rows = await db.read.selectFrom(table).selectAll().execute();
    const real = rows.filter((row) => !('members' in row) || row.members !== 0);
    if (real.length > 0) wrong.push(`${real.length} rows are left in ${table}: ${JSON.stringify(real[0])}`);
  }
  wrong.push(...(cloud.real?.left() ?? []));
  for (const host of cloud.hosts) {
    for (const entry of cloud.journalOf(host)) wrong.push(`${host} still remembers ${entry.uuid} as ${entry.state}`);
    for (const guest of cloud.guestsOf(host)) wrong.push(`${host} still has the guest ${guest.spec.uuid}`);
  }
  return wrong;
}
