import type { Call, Reply } from '../../http/call.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';

/** GET /servers/{id}/topology. No driver gives its guests NUMA nodes of their own, and a server without them has none to name: the same answer as Nova's
 *  for such a server.  Spec: compute api-ref "Show Server Topology", microversion 2.78. */
export async function showTopology(parts: ServerParts, call: Call): Promise<Reply> {
  await serverOf(parts.db.read, call);
  return { status: 200, body: { nodes: [], pagesize_kb: null } };
}
