import type { Query } from '../../db/engine.ts';
import { dropJob, insertJobs } from '../../db/tables/compute/jobs.ts';
import type { Call } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { CloudError } from '../../model/errors.ts';
import { serverChanged } from '../../model/errors-compute.ts';
import { jobContext } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';

/** Longer than any request works; a conductor then gives back what the request set aside. */
const LATE_US = 120_000_000;

/** What a request is about to do at other services, written down before: should this process die before the request is accepted, a conductor takes it
 *  back (conductor/settle-request.ts). */
export interface RequestIntent {
  /** The request is accepted, in this transaction. Throws serverChanged when it came too late. */
  fulfil(tx: Query): Promise<void>;
  /** The request is refused, and nothing is set aside any more. */
  forget(): Promise<void>;
}
export async function intend(
  parts: Pick<ServerParts, 'db' | 'clock'>,
  call: Call,
  serverUuid: string,
  what: { readonly volumeIds?: readonly string[]; readonly imageId?: string },
): Promise<RequestIntent> {
  const { volumeIds = [] } = what;
  const imageId = what.imageId ?? null;
  if (volumeIds.length === 0 && imageId === null) return { fulfil: async () => {}, forget: async () => {} };
  const { db, clock } = parts;
  const uuid = newUuid();
  const now = clock.now();
  const input = { serverUuid, volumeIds, imageId };
  await db.transaction((tx) =>
    insertJobs(tx, [{ kind: 'settle-request', serverUuid, input, context: jobContext(call), now, uuid, notBefore: now + LATE_US }]),
  );
  return {
    async fulfil(tx) {
      if (!(await dropJob(tx, uuid))) throw serverChanged({ id: serverUuid });
    },
    // Should this fail, the job finds nothing to do.
    forget: () =>
      db
        .transaction((tx) => dropJob(tx, uuid))
        .then(
          () => undefined,
          () => undefined,
        ),
  };
}

/** Nobody knows whether what was asked was done. */
export const isMute = (cause: unknown): boolean =>
  !(cause instanceof CloudError) || cause.kind === 'unavailable' || cause.kind === 'badGateway';
