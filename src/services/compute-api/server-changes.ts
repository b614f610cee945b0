import { Readable } from 'node:stream';
import { type Call, one, type Reply } from '../../http/call.ts';
import type { Clock } from '../../lib/clock.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import type { ChangeHub } from './change-hub.ts';
import type { ServerParts } from './server-parts.ts';

const HEARTBEAT_MS = 15_000;
/** How long a broken connection waits before it comes again. */
const RETRY_MS = 1000;

/** GET /servers/changes: every change of the caller's servers as it happens (server-sent events), so that nobody has to poll. Each event's id is its
 *  place in the feed; `Last-Event-ID` (or `?after=`) goes on behind it without a gap. 410 when that is older than what is kept: list again, and begin
 *  without a number. Administrators follow every project with `?all_tenants=1`.
 *  Not in Nova. Events: `open` (where the stream begins), `server` (shape: change-hub.ts). */
export async function followServers(parts: ServerParts, call: Call): Promise<Reply> {
  const { changes, clock } = parts;
  const all = isTrue(one(call, 'all_tenants'));
  if (all) call.allow({}, 'os_compute_api:servers:index:get_all_tenants');
  const asked = call.headers['last-event-id'] ?? one(call, 'after');
  const after = asked === undefined ? await changes.now() : cursorOf(String(asked));
  if ((await changes.read(after)).gone)
    throw new CloudError('changes.gone', 'gone', 'These changes are no longer kept. List the servers again and follow from now on.', {
      after,
    });
  const mine = all ? null : call.caller.projectId;
  return {
    status: 200,
    raw: Readable.from(events(changes, clock, after, mine, call.signal), { objectMode: false }),
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' },
  };
}

async function* events(
  changes: ChangeHub,
  clock: Clock,
  after: number,
  project: string | null,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let news = true;
  let wake = () => {};
  const stop = changes.follow(() => {
    news = true;
    wake();
  });
  try {
    yield `retry: ${RETRY_MS}\nid: ${after}\nevent: open\ndata: ${JSON.stringify({ seq: after })}\n\n`;
    let cursor = after;
    while (!signal.aborted) {
      while (news && !signal.aborted) {
        news = false;
        const page = await changes.read(cursor);
        if (page.gone) return; // it was away too long; its next request gets the 410
        const lines = page.changes.filter((change) => project === null || change.projectId === project);
        if (lines.length > 0) yield lines.map(({ seq, data }) => `id: ${seq}\nevent: server\ndata: ${JSON.stringify(data)}\n\n`).join('');
        if (page.last > cursor) news = true;
        cursor = page.last;
      }
      const beat = await new Promise<boolean>((resolve) => {
        if (news || signal.aborted) return resolve(false);
        const quiet = clock.after(HEARTBEAT_MS, () => resolve(true));
        const end = () => {
          quiet();
          resolve(false);
        };
        wake = end;
        signal.addEventListener('abort', end, { once: true });
      });
      // The id moves on with a quiet stream too, so that a resumed one does not read the same again.
      if (beat) yield `id: ${cursor}\n: quiet\n\n`;
    }
  } finally {
    stop();
  }
}

function cursorOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw invalidInput({ why: 'Last-Event-ID and after are numbers that this stream gave out.' });
  return Number(text);
}
const isTrue = (text: string | undefined) => text !== undefined && /^(1|true|yes|on|t|y)$/i.test(text);
