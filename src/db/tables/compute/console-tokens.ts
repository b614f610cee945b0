import type { Micros } from '../../../lib/clock.ts';
import { sha256 } from '../../../lib/ids.ts';
import type { ConsoleAddress, ConsoleType } from '../../../model/consoles.ts';
import type { Query } from '../../engine.ts';

/** A console a token opens. */
export interface ConsoleGrant extends ConsoleAddress {
  readonly serverUuid: string;
  readonly type: ConsoleType;
  readonly expiresAt: Micros;
}

/** Writes a grant under its token's hash, and clears away those that have expired. False: the server is no longer on that host. */
export async function grantConsole(
  tx: Query,
  token: string,
  grant: ConsoleGrant & { readonly serverHost: string; readonly now: Micros },
): Promise<boolean> {
  await tx.deleteFrom('console_tokens').where('expires_at', '<=', grant.now).execute();
  const there = await tx
    .selectFrom('servers')
    .select('id')
    .where('uuid', '=', grant.serverUuid)
    .where('deleted', '=', 0)
    .where('host', '=', grant.serverHost)
    .executeTakeFirst();
  if (!there) return false;
  await tx
    .insertInto('console_tokens')
    .values({
      token_hash: sha256(token),
      server_uuid: grant.serverUuid,
      server_host: grant.serverHost,
      console_type: grant.type,
      host: grant.host,
      port: grant.port,
      tls_port: grant.tlsPort,
      socket: grant.socket,
      internal_path: grant.path,
      created_at: grant.now,
      expires_at: grant.expiresAt,
    })
    .execute();
  return true;
}

/** What a token opens now; undefined for one that is unknown or expired, or whose server is gone or elsewhere. */
export async function findGrant(db: Query, token: string, now: Micros): Promise<ConsoleGrant | undefined> {
  const row = await db
    .selectFrom('console_tokens')
    .innerJoin('servers', 'servers.uuid', 'console_tokens.server_uuid')
    .selectAll('console_tokens')
    .where('token_hash', '=', sha256(token))
    .where('expires_at', '>', now)
    .where('servers.deleted', '=', 0)
    .whereRef('servers.host', '=', 'console_tokens.server_host')
    .executeTakeFirst();
  return (
    row && {
      serverUuid: row.server_uuid,
      type: row.console_type as ConsoleType, // only grantConsole writes it
      host: row.host,
      port: row.port,
      tlsPort: row.tls_port,
      path: row.internal_path,
      socket: row.socket,
      expiresAt: row.expires_at,
    }
  );
}
