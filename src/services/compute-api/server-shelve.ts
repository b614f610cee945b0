import type { Call, Reply } from '../../http/call.ts';
import { hostOutsideZone, moveHostUnknown, needsOffloaded } from '../../model/errors-moves.ts';
import { DEFAULT_ZONE } from '../../model/server.ts';
import { hostFacts, ownerOf, serverOf } from './server-find.ts';
import { newImage, register, unregister } from './server-images.ts';
import type { ServerParts } from './server-parts.ts';
import { beginTask, mustAllow } from './server-tasks.ts';
import { mustLackTpm } from './server-tpm.ts';
import { mustBeZone } from './server-wish.ts';
import type { Unshelve } from './shapes/server-moves.ts';
import { isVolumeBacked } from './volume-backed.ts';

/** shelve: off, its disk an image, and its host given up at once or later.  Spec: compute api-ref "Shelve Server". */
export async function shelveServer(parts: ServerParts, call: Call): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  mustAllow('shelve', 'shelve', seen, call);
  mustLackTpm('shelve', seen);
  const own = newImage(call, seen, { name: `${seen.name}-shelved`, type: 'snapshot', properties: {} });
  const registered = isVolumeBacked(seen) ? null : await register(parts, call, seen, own);
  const imageId = registered?.imageId ?? null;
  try {
    await beginTask(parts, call, seen, (server) => {
      mustAllow('shelve', 'shelve', server, call);
      const offload = imageId === null || (parts.shelvedOffloadSeconds ?? 0) === 0;
      const input = { serverUuid: server.uuid, imageId, offload, vmStateBefore: server.vmState };
      const also = registered ? { also: registered.intent.fulfil } : {};
      return { taskState: 'shelving', actionName: 'shelve', kind: 'shelve-server', input, ...also };
    });
  } catch (cause) {
    if (registered) await unregister(parts, call, registered, cause);
    throw cause;
  }
  return { status: 202 };
}

/** shelveOffload: a shelved server gives its host up now.  Spec: compute api-ref "Shelf-Offload (Remove) Server". */
export async function shelveOffload(parts: ServerParts, call: Call): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  await beginTask(parts, call, seen, (server) => {
    mustAllow('shelveOffload', 'shelveOffload', server, call);
    return { taskState: 'shelving_offloading', actionName: 'shelveOffload', kind: 'offload-server', input: { serverUuid: server.uuid } };
  });
  return { status: 202 };
}

/** unshelve: runs again, from 2.77 in a zone and from 2.91 on a host that the request names. Throws needsOffloaded, hostOutsideZone (409), zoneUnknown,
 *  moveHostUnknown (400).  Spec: compute api-ref "Unshelve (Restore) Shelved Server". */
export async function unshelveServer(parts: ServerParts, call: Call<Unshelve>): Promise<Reply> {
  const { zone, host } = wishIn(call.body.unshelve);
  const seen = await serverOf(parts.db.read, call);
  if (host !== undefined) call.allow(ownerOf(seen), 'os_compute_api:os-shelve:unshelve_to_host');
  mustAllow('unshelve', 'unshelve', seen, call);
  const named = zone !== undefined || host !== undefined;
  if (named && seen.vmState !== 'shelved_offloaded') throw needsOffloaded({});
  if (zone) await mustBeZone(parts.db.read, zone);
  if (host !== undefined) {
    const pin = zone === undefined ? seen.availabilityZone : zone;
    const known = (await hostFacts(parts, [host])).get(host);
    if (!known) throw moveHostUnknown({ host });
    if (pin !== null && (known.zone ?? DEFAULT_ZONE) !== pin) throw hostOutsideZone({ host, zone: pin });
  }
  await beginTask(parts, call, seen, (server) => {
    mustAllow('unshelve', 'unshelve', server, call);
    if (named && server.vmState !== 'shelved_offloaded') throw needsOffloaded({});
    return {
      taskState: 'unshelving',
      actionName: 'unshelve',
      kind: 'unshelve-server',
      input: { serverUuid: server.uuid, vmStateBefore: server.vmState, host: host ?? null, zoneBefore: server.availabilityZone },
      ...(zone === undefined ? {} : { set: { availability_zone: zone } }),
    };
  });
  return { status: 202 };
}

/** What an unshelve names. Bodies before 2.77 may hold anything, and it counts for nothing. */
function wishIn(wish: unknown): { zone: string | null | undefined; host: string | undefined } {
  if (wish === null || typeof wish !== 'object') return { zone: undefined, host: undefined };
  const { availability_zone: zone, host } = wish as { availability_zone?: string | null; host?: string }; // checked by its shape
  return { zone, host };
}
