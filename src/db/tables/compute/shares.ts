import type { Selectable } from 'kysely';
import type { Query } from '../../engine.ts';
import type { ServerSharesTable } from './tables.ts';

export type ServerShareRow = Selectable<ServerSharesTable>;

/** Shares of a server, oldest first. */
export const sharesOf = (db: Query, serverUuid: string): Promise<ServerShareRow[]> =>
  db.selectFrom('server_shares').selectAll().where('server_uuid', '=', serverUuid).orderBy('id').execute();

export const findShare = (db: Query, serverUuid: string, shareId: string): Promise<ServerShareRow | undefined> =>
  db.selectFrom('server_shares').selectAll().where('server_uuid', '=', serverUuid).where('share_id', '=', shareId).executeTakeFirst();
