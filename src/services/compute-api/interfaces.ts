import { findAction } from '../../db/tables/compute/actions.ts';
import { jobOutcome } from '../../db/tables/compute/jobs.ts';
import type { Call, Reply } from '../../http/call.ts';
import { from } from '../../lib/answer.ts';
import { newUuid } from '../../lib/ids.ts';
import { CloudError, rebuildError, type WireError } from '../../model/errors.ts';
import { serverNotFound } from '../../model/errors-compute.ts';
import {
  addressNeedsNetwork,
  fixedIpInUse,
  interfaceFailed,
  interfaceHostAway,
  interfaceNetworkNotFound,
  interfacePortNotFound,
  networkOrPort,
  portNotOnServer,
} from '../../model/errors-interfaces.ts';
import { jobDeadlineSeconds } from '../../model/jobs.ts';
import type { RequestedNetwork, Server } from '../../model/server.ts';
import { refreshNetwork } from './network-refresh.ts';
import { asked, type NetworkingParts, one, type PortJson, portsOfServer, saying } from './networking.ts';
import { networkReach, serverOf } from './server-find.ts';
import { beginTask, mustAllow } from './server-tasks.ts';
import type { InterfaceCreate } from './shapes/networking.ts';

const view = (port: PortJson, server: Server) => ({
  port_id: port.id,
  net_id: port.network_id,
  mac_addr: port.mac_address,
  port_state: port.status,
  fixed_ips: port.fixed_ips.map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address })),
  tag: from('2.70', server.networkInfo.find((known) => known.portId === port.id)?.tag ?? null),
});

/** GET /servers/{id}/os-interface.  Spec: compute api-ref "List port interfaces". */
export async function listInterfaces(parts: NetworkingParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const ports = await portsOfServer(parts, call, server.uuid);
  return { status: 200, body: { interfaceAttachments: ports.map((port) => view(port, server)) } };
}

/** GET /servers/{id}/os-interface/{port_id}. Throws 404 for a port that is not there or not the server's. */
export async function showInterface(parts: NetworkingParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const id = call.params.portId ?? '';
  const port = await showPort(parts, call, id);
  if (port.device_id !== server.uuid) throw portNotOnServer({ id: server.uuid, port: id });
  return { status: 200, body: { interfaceAttachment: view(port, server) } };
}

const showPort = async (parts: NetworkingParts, call: Call, id: string): Promise<PortJson> => {
  const found = asked<{ port: PortJson }>(parts, call, 'GET', one('ports', id));
  return (await saying(found, { 404: (cause) => interfacePortNotFound({ id }, { cause }) })).port;
};

/** What a create says of networks, as an attach says it. */
const asAttach = (cause: CloudError, wish: RequestedNetwork): CloudError => {
  const { code, message, params } = cause;
  if (code === 'networks.requested_not_found') return interfaceNetworkNotFound({ id: wish.networkId ?? '' }, { cause });
  if (code === 'networks.port_not_found') return interfacePortNotFound({ id: wish.portId ?? '' }, { cause });
  if (code === 'networks.address_taken') return fixedIpInUse({ address: wish.fixedIp ?? '' }, { cause });
  if (code === 'networks.ambiguous' || code === 'networks.group_ambiguous')
    return new CloudError(code, 'invalid', message, params, { cause });
  return cause;
};

async function settle(parts: NetworkingParts, call: Call, server: Server, wish: RequestedNetwork): Promise<RequestedNetwork> {
  const asker = { token: call.token, projectId: server.projectId, userId: call.caller.userId, requestId: call.requestId };
  try {
    const settled = await parts.networks.validate([wish], { asker, servers: 1, securityGroups: [], reach: networkReach(call) });
    return (typeof settled === 'string' ? undefined : settled[0]) ?? wish;
  } catch (cause) {
    throw cause instanceof CloudError ? asAttach(cause, wish) : cause;
  }
}

/** POST /servers/{id}/os-interface: one more port, by network, by port, or wherever the project has a network. Answers when the guest has it.
 *  Spec: compute api-ref "Create interface". */
export async function createInterface(parts: NetworkingParts, call: Call<InterfaceCreate>): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  const { net_id, port_id, fixed_ips, tag } = call.body.interfaceAttachment ?? {};
  const address = fixed_ips?.[0]?.ip_address;
  if (net_id && port_id) throw networkOrPort({});
  if (address && !net_id) throw addressNeedsNetwork({});
  mustAllow('attachInterface', 'attach_interface', seen, call);
  const wish = await settle(parts, call, seen, {
    networkId: net_id ?? null,
    portId: port_id ?? null,
    fixedIp: address ?? null,
    tag: tag ?? null,
  });
  const jobUuid = newUuid();
  await beginTask(parts, call, seen, (server) => {
    mustAllow('attachInterface', 'attach_interface', server, call);
    const input = { serverUuid: server.uuid, wish };
    return { taskState: null, actionName: 'attach_interface', kind: 'attach-interface', input, jobUuid };
  });
  await ended(parts, call, seen, jobUuid);
  const server = await serverOf(parts.db.read, call);
  const known = new Set(seen.networkInfo.map((port) => port.portId));
  const mine = wish.portId ?? newest(server, known, wish);
  if (mine === '') throw interfaceHostAway({ id: server.uuid, why: 'the new port was taken away again meanwhile' });
  return { status: 200, body: { interfaceAttachment: view(await showPort(parts, call, mine), server) } };
}

/** The port that was not there before; with two attached at once, one that fits the wish. */
function newest(server: Server, known: ReadonlySet<string>, wish: RequestedNetwork): string {
  const fresh = server.networkInfo.filter((port) => !known.has(port.portId));
  const fitting = fresh.filter(
    (port) =>
      (wish.networkId === null || port.networkId === wish.networkId) &&
      (wish.fixedIp === null || port.addresses.some((one) => one.address === wish.fixedIp)),
  );
  return (fitting.at(-1) ?? fresh.at(-1))?.portId ?? '';
}

const LOOK_MS = 200;
const GRACE_US = 10_000_000;

/** Waits until a job has ended; looks at each word of the change feed, and by the clock. Throws what it failed of. */
async function ended(parts: NetworkingParts, call: Call, server: Server, jobUuid: string): Promise<void> {
  const { db, clock, changes } = parts;
  const until = clock.now() + jobDeadlineSeconds['attach-interface'] * 1_000_000 + GRACE_US;
  let heard = () => {};
  const unfollow = changes.follow(() => heard());
  try {
    for (;;) {
      const outcome = await jobOutcome(db.read, jobUuid);
      if (outcome === 'ended') break;
      if (outcome !== 'unfinished') throw failure(outcome, server);
      if (call.signal.aborted || clock.now() > until) throw interfaceFailed({ id: server.uuid, why: 'it took too long' });
      await new Promise<void>((resolve) => {
        const cancel = clock.after(LOOK_MS, resolve);
        heard = () => {
          cancel();
          resolve();
        };
      });
    }
  } finally {
    unfollow();
  }
  const action = await findAction(db.read, server.uuid, call.requestId);
  if (action === undefined) throw serverNotFound({ id: server.uuid });
}

function failure(wire: WireError, server: Server): CloudError {
  if (wire.kind === 'unavailable') return interfaceHostAway({ id: server.uuid, why: wire.message });
  if (['invalid', 'forbidden', 'notFound', 'conflict', 'notImplemented'].includes(wire.kind)) return rebuildError(wire);
  return interfaceFailed({ id: server.uuid, why: wire.message });
}

/** DELETE /servers/{id}/os-interface/{port_id}.  Spec: compute api-ref "Detach interface". */
export async function deleteInterface(parts: NetworkingParts, call: Call): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  const portId = (call.params.portId ?? '').toLowerCase();
  mustAllow('detachInterface', 'detach_interface', seen, call);
  let known: Server = seen;
  if (!known.networkInfo.some((port) => port.portId === portId)) {
    await refreshNetwork(parts, seen.uuid);
    known = await serverOf(parts.db.read, call);
    if (!known.networkInfo.some((port) => port.portId === portId)) throw interfacePortNotFound({ id: portId });
  }
  await beginTask(parts, call, known, (server) => {
    mustAllow('detachInterface', 'detach_interface', server, call);
    const input = { serverUuid: server.uuid, portId };
    return { taskState: null, actionName: 'detach_interface', kind: 'detach-interface', input };
  });
  return { status: 202 };
}
