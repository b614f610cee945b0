import type { Query } from '../../db/engine.ts';
import { findAction, finishAction, finishEvents } from '../../db/tables/compute/actions.ts';
import type { Micros } from '../../lib/clock.ts';
import type { JobContext } from '../../model/caller.ts';
import type { CloudError } from '../../model/errors.ts';
import type { ServerFault } from '../../model/server.ts';

/** HTTP-like number that Nova shows with a fault. */
const faultCode: Readonly<Record<string, number>> = {
  invalid: 400,
  forbidden: 403,
  notFound: 404,
  conflict: 409,
  tooLarge: 413,
};

/** Everybody who sees the server reads the message: where the files of a host lie is only for those who may read the details. */
const withoutFolders = (text: string) => text.replace(/(^|[\s'"(=])\/(?:[^\s'"/]+\/)+(?=[^\s'"/])/g, '$1');

export const faultOf = (cause: CloudError, at: Micros): ServerFault => ({
  code: faultCode[cause.kind] ?? 500,
  message: withoutFolders(cause.message),
  details: `${cause.code} ${JSON.stringify(cause.params)}${cause.detail ? `\n${cause.detail}` : ''}`,
  created: at,
});

/** Ends an instance action with what is still open of its events. */
export async function closeAction(
  tx: Query,
  job: { serverUuid: string; context: JobContext },
  end: { at: Micros; error: string | null },
): Promise<void> {
  const action = await findAction(tx, job.serverUuid, job.context.requestId);
  if (action === undefined) return;
  await finishEvents(tx, action, null, { at: end.at, result: end.error === null ? 'Success' : 'Error', details: end.error });
  await finishAction(tx, action, end.at, end.error === null ? null : 'Error');
}
