import type { Call, Reply } from '../../http/call.ts';
import { networkLabelUnknown } from '../../model/errors-compute.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { addressesView } from './views/server-view.ts';

/** GET /servers/{id}/ips: addresses by network.  Spec: compute api-ref "Servers IPs". */
export async function listAddresses(parts: ServerParts, call: Call): Promise<Reply> {
  const { networkInfo } = await serverOf(parts.db.read, call);
  return { status: 200, body: { addresses: addressesView(networkInfo, false) } };
}

/** GET /servers/{id}/ips/{label}. Throws networkLabelUnknown (404). */
export async function showAddresses(parts: ServerParts, call: Call): Promise<Reply> {
  const { networkInfo } = await serverOf(parts.db.read, call);
  const label = call.params.label ?? '';
  const addresses = addressesView(networkInfo, false);
  if (!Object.hasOwn(addresses, label)) throw networkLabelUnknown({ label });
  return { status: 200, body: { [label]: addresses[label] } };
}
