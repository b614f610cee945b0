import type { Call, Reply } from '../../http/call.ts';
import { diagnosticsNeedRunning } from '../../model/errors-acts.ts';
import { diagnosticsAreUniform } from './server-behaviours.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { mustAllow } from './server-tasks.ts';
import { diagnosticsView, oldDiagnosticsView } from './views/diagnostics.ts';

/** GET /servers/{id}/diagnostics: numbers of a running guest. Throws serverNotReady and diagnosticsNeedRunning (409), deedUnsupported (501).
 *  Spec: compute api-ref "Show Server Diagnostics". */
export async function showDiagnostics(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  mustAllow('consoleOutput', 'get_diagnostics', server, call); // as a console's: the server needs a host, no more
  const numbers = await parts.diagnostics(server);
  if (numbers.state !== 'running') throw diagnosticsNeedRunning({ id: server.uuid, state: numbers.state });
  return { status: 200, body: diagnosticsAreUniform(call.version) ? diagnosticsView(numbers) : oldDiagnosticsView(numbers) };
}
