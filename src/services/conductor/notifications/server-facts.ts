import type { Query } from '../../../db/engine.ts';
import { tagsOf, toServer } from '../../../db/tables/compute/servers.ts';
import type { Server } from '../../../model/server.ts';
import type { Disk, Moment } from './instance-payload.ts';

/** An event of an instance action, with what began it. */
export interface EventRow {
  readonly id: number;
  readonly server_uuid: string;
  readonly event: string;
  readonly host: string | null;
  readonly started_at: number;
  readonly finished_at: number | null;
  readonly result: string | null;
  readonly details: string | null;
  readonly action: string;
  readonly request_id: string;
  readonly user_id: string;
  readonly project_id: string;
}
/** What payloads about servers are made of. */
export interface ServerFacts {
  readonly servers: ReadonlyMap<string, Server>;
  readonly tags: ReadonlyMap<number, readonly string[]>;
  readonly disks: ReadonlyMap<string, readonly Disk[]>;
}

/** All that payloads about these servers need, in a few queries. */
export async function factsOf(db: Query, uuids: readonly string[], withDisks: boolean): Promise<ServerFacts> {
  if (uuids.length === 0) return { servers: new Map(), tags: new Map(), disks: new Map() };
  const rows = await db.selectFrom('servers').selectAll().where('uuid', 'in', uuids).execute();
  const servers = new Map(rows.map((row) => [row.uuid, toServer(row)]));
  const tags = await tagsOf(
    db,
    rows.map((row) => row.id),
  );
  const disks = new Map<string, Disk[]>();
  if (withDisks)
    for (const row of await db.selectFrom('block_devices').selectAll().where('server_uuid', 'in', uuids).execute())
      if (row.volume_id !== null)
        push(disks, row.server_uuid, {
          deviceName: row.device_name,
          bootIndex: row.boot_index,
          deleteOnTermination: row.delete_on_termination === 1,
          volumeId: row.volume_id,
          tag: row.tag,
        });
  return { servers, tags, disks };
}

/** A server as it is now. */
export const momentOf = (server: Server, { tags, disks }: ServerFacts): Moment => ({
  server,
  vmState: server.vmState,
  taskState: server.taskState,
  tags: tags.get(server.id) ?? [],
  disks: disks.get(server.uuid) ?? [],
  asked: null,
  fault: null,
});

/** Events of these servers' actions, by server, as they began. */
export async function eventsOf(db: Query, uuids: readonly string[]): Promise<ReadonlyMap<string, readonly EventRow[]>> {
  const events = new Map<string, EventRow[]>();
  if (uuids.length === 0) return events;
  const found = await db
    .selectFrom('server_action_events as e')
    .innerJoin('server_actions as a', 'a.id', 'e.action_id')
    .select([
      'e.id',
      'a.server_uuid',
      'e.event',
      'e.host',
      'e.started_at',
      'e.finished_at',
      'e.result',
      'e.details',
      'a.action',
      'a.request_id',
      'a.user_id',
      'a.project_id',
    ])
    .where('a.server_uuid', 'in', uuids)
    .orderBy('e.id')
    .execute();
  for (const row of found) push(events, row.server_uuid, row);
  return events;
}

/** By server and time ('<uuid> <microseconds>'): the newest change of that time after the cursor, Infinity where it has no number yet. */
export async function untoldTimes(db: Query, uuids: readonly string[], cursor: number): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number>();
  if (uuids.length === 0) return times;
  const untold = db
    .selectFrom('changes')
    .select(['key', 'at', 'seq'])
    .where('noun', '=', 'server')
    .where('key', 'in', uuids)
    .where((eb) => eb.or([eb('seq', 'is', null), eb('seq', '>', cursor)]));
  for (const { key, at, seq } of await untold.execute()) {
    const name = `${key} ${at}`;
    times.set(name, Math.max(times.get(name) ?? 0, seq ?? Number.POSITIVE_INFINITY));
  }
  return times;
}

const push = <V>(map: Map<string, V[]>, key: string, value: V) => {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
};
