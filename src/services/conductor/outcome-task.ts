import { faultText, type ServerSet, setServer } from '../../db/tables/compute/placing.ts';
import type { CloudError } from '../../model/errors.ts';
import type { JobKind } from '../../model/jobs.ts';
import { closeAction, faultOf } from './outcome.ts';
import type { Run } from './run-job.ts';

/** The end of a task that failed: no task any more, the reason as the server's fault and in its action; and what else is so now. `details`: for
 *  notifications, `{ imageId }`. */
export async function failAction<K extends JobKind>(run: Run<K>, cause: CloudError, more: ServerSet, details: object = {}): Promise<void> {
  const at = run.parts.clock.now();
  await run.commit(async (tx) => {
    const set = { task_state: null, task_deadline: null, fault: faultText(faultOf(cause, at)), ...more };
    await setServer(tx, run.server, set, { what: 'action-failed', at, body: { ...details, fault: cause.message } });
    await closeAction(tx, run.job, { at, error: cause.message });
    return { to: 'failed' };
  });
}
