import { hurryJobs, insertJobs } from '../../db/tables/compute/jobs.ts';
import { findServer } from '../../db/tables/compute/servers.ts';
import type { Call, Reply } from '../../http/call.ts';
import { JOBS_RING } from '../../model/jobs.ts';
import { refusalOf } from '../../model/server-states.ts';
import { refreshNetwork } from './network-refresh.ts';
import type { NetworkingParts } from './networking.ts';
import { jobContext } from './server-find.ts';
import type { ExternalEvents } from './shapes/external-events.ts';
import { volumeExtended } from './volume-attachments.ts';

type Deed = (parts: NetworkingParts, call: Call, serverUuid: string, tag: string) => Promise<void>;

/** A port that is gone leaves the guest too. */
const unplug: Deed = async (parts, call, serverUuid, portId) => {
  const server = await findServer(parts.db.read, serverUuid);
  const plugged = server?.networkInfo.some((port) => port.portId === portId) && refusalOf('detachInterface', server, true) === undefined;
  await refreshNetwork(parts, serverUuid);
  if (!plugged) return;
  const job = { kind: 'detach-interface' as const, serverUuid, input: { serverUuid, portId }, context: jobContext(call) };
  await parts.db.transaction((tx) => insertJobs(tx, [{ ...job, now: parts.clock.now() }]));
  parts.bus.ring(JOBS_RING);
};

/** A volume that grew: the guest is shown how large it is now. */
const grow: Deed = async (parts, call, serverUuid, volumeId) => {
  const server = await findServer(parts.db.read, serverUuid);
  if (server) await volumeExtended(parts, call, server, volumeId.toLowerCase());
};
/** A rebuild waits for the image on its root volume: it looks at once. */
const goOn: Deed = async (parts, _call, serverUuid) => {
  await parts.db.transaction((tx) => hurryJobs(tx, serverUuid, 'rebuild-server', parts.clock.now()));
  parts.bus.ring(JOBS_RING);
};

/** What is done about an event; one that is not here only has to be well-formed. */
const deeds: Readonly<Record<string, Deed>> = {
  'network-changed': (parts, _call, serverUuid) => refreshNetwork(parts, serverUuid),
  'network-vif-deleted': unplug,
  'volume-extended': grow,
  'volume-reimaged': goOn,
};

/** POST /os-server-external-events: what other services tell of servers. 207 when one of the events found no server that it could be for; each says how
 *  it fared.  Spec: compute api-ref "Run events". */
export async function createExternalEvents(parts: NetworkingParts, call: Call<ExternalEvents>): Promise<Reply> {
  const { events } = call.body;
  const uuids = [...new Set(events.map((event) => event.server_uuid.toLowerCase()))];
  const hosts = new Map<string, string | null>();
  for (let at = 0; at < uuids.length; at += 500) {
    const rows = await parts.db.read
      .selectFrom('servers')
      .select(['uuid', 'host'])
      .where('uuid', 'in', uuids.slice(at, at + 500))
      .where('deleted', '=', 0)
      .execute();
    for (const row of rows) hosts.set(row.uuid, row.host);
  }
  const views = events.map((event) => {
    const host = hosts.get(event.server_uuid.toLowerCase());
    const code = host === undefined ? 404 : host === null ? 422 : 200;
    return { ...event, status: code === 200 ? (event.status ?? 'completed') : 'failed', code };
  });
  const done = new Set<string>();
  for (const { name, server_uuid, tag, code } of views) {
    const deed = deeds[name];
    const about = `${name} ${server_uuid.toLowerCase()} ${name === 'network-changed' ? '' : tag}`; // a refresh takes in all of a server's ports
    if (code !== 200 || !deed || done.has(about)) continue;
    done.add(about);
    await deed(parts, call, server_uuid.toLowerCase(), tag ?? '');
  }
  return { status: views.some((event) => event.code !== 200) ? 207 : 200, body: { events: views } };
}
