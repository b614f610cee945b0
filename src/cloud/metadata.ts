import type { Database } from '../db/engine.ts';
import { passwordOf, storePassword } from '../db/tables/compute/server-passwords.ts';
import { findServer } from '../db/tables/compute/servers.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { openMetadata } from '../services/metadata/open-metadata.ts';

export interface MetadataPart {
  readonly port: number;
  /** Where agents on this machine find it. */
  readonly url: string;
  stop(): Promise<void>;
}

/** The metadata service on its own listener, reading servers as they stand in the database. */
export async function startMetadata(options: {
  db: Database;
  clock: Clock;
  log: Log;
  secret: string;
  host: string;
  port: number;
}): Promise<MetadataPart> {
  const { db, clock, log, host, port } = options;
  const service = await openMetadata({
    find: (uuid) => findServer(db.read, uuid),
    passwords: {
      read: (uuid) => passwordOf(db.read, uuid),
      store: (uuid, password) => storePassword(db, uuid, password, clock.now()),
    },
    sharedSecret: options.secret,
    clock,
    log,
    host,
    port,
  });
  return {
    port: service.address.port,
    url: `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${service.address.port}`,
    stop: () => service.close(),
  };
}
