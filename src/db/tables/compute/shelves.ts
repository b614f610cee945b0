import type { Micros } from '../../../lib/clock.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';

/** The image a shelved server waits in; `imageId` null: its disks are volumes. */
export interface Shelf {
  readonly serverUuid: string;
  readonly imageId: string | null;
  readonly shelvedAt: Micros;
}

export const putOnShelf = (tx: Query, kind: EngineKind, { serverUuid, imageId, shelvedAt }: Shelf): Promise<unknown> =>
  insertIgnore(tx, kind, 'server_shelves', { server_uuid: serverUuid, image_id: imageId, shelved_at: shelvedAt }, ['server_uuid']);

export async function findShelf(db: Query, serverUuid: string): Promise<Shelf | undefined> {
  const row = await db.selectFrom('server_shelves').selectAll().where('server_uuid', '=', serverUuid).executeTakeFirst();
  return row && { serverUuid, imageId: row.image_id, shelvedAt: row.shelved_at };
}

/** Safe twice. */
export async function takeOffShelf(tx: Query, serverUuid: string): Promise<void> {
  await tx.deleteFrom('server_shelves').where('server_uuid', '=', serverUuid).execute();
}

/** Servers that are shelved since before a time, still on their host and with nothing in progress. */
export async function shelvedBefore(
  db: Query,
  before: Micros,
  limit: number,
): Promise<{ uuid: string; projectId: string; userId: string }[]> {
  const rows = await db
    .selectFrom('server_shelves as f')
    .innerJoin('servers as s', 's.uuid', 'f.server_uuid')
    .select(['s.uuid', 's.project_id', 's.user_id'])
    .where('f.shelved_at', '<=', before)
    .where('s.vm_state', '=', 'shelved')
    .where('s.task_state', 'is', null)
    .where('s.deleted', '=', 0)
    .limit(limit)
    .execute();
  return rows.map((row) => ({ uuid: row.uuid, projectId: row.project_id, userId: row.user_id }));
}
