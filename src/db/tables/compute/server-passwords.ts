import type { Micros } from '../../../lib/clock.ts';
import type { Database, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';

/** What the guest has posted; '' when nothing. */
export async function passwordOf(db: Query, serverUuid: string): Promise<string> {
  const row = await db.selectFrom('server_passwords').select('password').where('server_uuid', '=', serverUuid).executeTakeFirst();
  return row?.password ?? '';
}

/** Keeps a guest's password unless there is one already. Answers whether it was kept. */
export const storePassword = (db: Database, serverUuid: string, password: string, at: Micros): Promise<boolean> =>
  db.transaction((tx) => insertIgnore(tx, db.kind, 'server_passwords', { server_uuid: serverUuid, password, created_at: at }));

/** Forgets it; the guest may post another. */
export const clearPassword = (db: Database, serverUuid: string): Promise<void> =>
  db.transaction(async (tx) => {
    await tx.deleteFrom('server_passwords').where('server_uuid', '=', serverUuid).execute();
  });
