import { writeChange } from '../../db/tables/compute/changes.ts';
import type { Call, Reply } from '../../http/call.ts';
import { CloudError } from '../../model/errors.ts';
import { exceptionNotice } from '../../model/notices-of-hosts.ts';
import { type ComputeParts, publisherOf } from './parts.ts';

type Handler<P, B> = (parts: P, call: Call<B>) => Promise<Reply>;

/** The same handler; what it throws is also told outside, where anybody listens. Nova does so for hosts, aggregates and key pairs.
 *  Spec: notification guide, compute.exception. */
export const tellingFailures =
  <P extends ComputeParts, B>(handler: Handler<P, B>): Handler<P, B> =>
  async (parts, call) => {
    try {
      return await handler(parts, call);
    } catch (cause) {
      if (parts.tellsOutside && cause instanceof CloudError) {
        const { clock, db } = parts;
        const said = exceptionNotice(publisherOf(parts), { code: cause.code, message: cause.message });
        const change = {
          noun: 'failure',
          key: call.requestId,
          what: 'told',
          projectId: null,
          body: { notice: said },
          at: clock.now(),
        } as const;
        await db.transaction((tx) => writeChange(tx, change)).catch((err) => call.log.warn({ err }, 'a failure could not be told'));
      }
      throw cause;
    }
  };
