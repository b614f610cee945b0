import type { Query } from '../../engine.ts';

/** A server as the scheduler counts it on its host. Flavor and image are the row's own JSON: many servers have the same. */
export interface HostServer {
  readonly id: number;
  readonly uuid: string;
  readonly host: string | null;
  readonly projectId: string;
  readonly vmState: string;
  readonly taskState: string | null;
  readonly flavorId: string;
  readonly flavor: string;
  readonly image: string | null;
  readonly deleted: boolean;
}

const columns = ['id', 'uuid', 'host', 'project_id', 'vm_state', 'task_state', 'flavor_id', 'flavor', 'image', 'deleted'] as const;
const serversOf = (db: Query) => db.selectFrom('servers').select(columns).orderBy('id');
type Row = Awaited<ReturnType<ReturnType<typeof serversOf>['execute']>>[number];
const toHostServer = (row: Row): HostServer => ({
  id: row.id,
  uuid: row.uuid,
  host: row.host,
  projectId: row.project_id,
  vmState: row.vm_state,
  taskState: row.task_state,
  flavorId: row.flavor_id,
  flavor: row.flavor,
  image: row.image,
  deleted: row.deleted !== 0,
});

const PAGE = 5000;
/** Every server that stands on a host, in pages. */
export async function* allHostServers(db: Query): AsyncGenerator<HostServer[]> {
  let last = 0;
  for (;;) {
    const rows = await serversOf(db).where('deleted', '=', 0).where('host', 'is not', null).where('id', '>', last).limit(PAGE).execute();
    yield rows.map(toHostServer);
    last = rows.at(-1)?.id ?? last;
    if (rows.length < PAGE) return;
  }
}

const PART = 500;
/** Servers of these uuids, deleted ones too, or on these hosts, as they are now. */
export async function findHostServers(db: Query, by: 'uuid' | 'host', names: readonly string[]): Promise<HostServer[]> {
  const found: HostServer[] = [];
  for (let at = 0; at < names.length; at += PART) {
    const rows = serversOf(db)
      .where(by, 'in', names.slice(at, at + PART))
      .$if(by === 'host', (q) => q.where('deleted', '=', 0));
    found.push(...(await rows.execute()).map(toHostServer));
  }
  return found;
}
