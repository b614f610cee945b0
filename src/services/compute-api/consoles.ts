import { findGrant, grantConsole } from '../../db/tables/compute/console-tokens.ts';
import type { Call, Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { type ConsoleProtocol, type ConsoleType, consoleTypes } from '../../model/consoles.ts';
import { serverNotReady } from '../../model/errors-compute.ts';
import { consoleTokenUnknown, consoleTypeInvalid, consoleTypeUnavailable, rdpTokensAreGone } from '../../model/errors-misc-api.ts';
import type { Server } from '../../model/server.ts';
import { tokensOfEveryConsole } from './microversions.ts';
import type { MiscParts } from './misc-parts.ts';
import { serverOf } from './server-find.ts';
import { mustAllow } from './server-tasks.ts';
import { consoleGrantView } from './views/consoles.ts';

/** POST /servers/{id}/remote-consoles.  Spec: compute api-ref "Create Console". */
export async function createConsole(parts: MiscParts, call: Call<{ remote_console: { protocol: string; type: string } }>): Promise<Reply> {
  const { protocol, type } = call.body.remote_console;
  const server = await serverOf(parts.db.read, call);
  if (protocol === 'rdp') throw consoleTypeUnavailable({ type: protocol });
  const url = await open(parts, call, server, protocol as ConsoleProtocol, type); // the shape lets no other words through
  return { status: 200, body: { remote_console: { protocol, type, url } } };
}

/** os-getVNCConsole, os-getSPICEConsole, os-getSerialConsole: one protocol each, until 2.5. */
export const getConsole =
  (protocol: ConsoleProtocol, word: string) =>
  async (parts: MiscParts, call: Call<Record<string, { type: string }>>): Promise<Reply> => {
    const type = call.body[word]?.type ?? '';
    const url = await open(parts, call, await serverOf(parts.db.read, call), protocol, type);
    return { status: 200, body: { console: { type, url } } };
  };

/** GET /os-console-auth-tokens/{token}: what a proxy connects to.  Throws consoleTokenUnknown (404), rdpTokensAreGone (400).
 *  Spec: compute api-ref "Show Console Connection Information". */
export async function showConsoleToken(parts: MiscParts, call: Call): Promise<Reply> {
  if (!tokensOfEveryConsole(call.version)) throw rdpTokensAreGone({});
  const grant = await findGrant(parts.db.read, call.params.token ?? '', parts.clock.now());
  if (!grant) throw consoleTokenUnknown({});
  return { status: 200, body: { console: consoleGrantView(grant) } };
}

/** Asks the host for the console and makes a token for it. Answers the URL that carries it.
 *  Throws 409 for a server that is on no host or on its way, consoleTypeUnavailable and consoleTypeInvalid (400), and 501 for what its driver has not. */
async function open(parts: MiscParts, call: Call, server: Server, protocol: ConsoleProtocol, type: string): Promise<string> {
  mustAllow('remoteConsole', `get_${protocol}_console`, server, call);
  const { enabled, urls, tokenTtlSeconds } = parts.consoles;
  if (!enabled[protocol]) throw consoleTypeUnavailable({ type });
  if (!isType(type) || consoleTypes[type] !== protocol) throw consoleTypeInvalid({ type });
  const serverHost = server.host ?? '';
  const address = await parts.consoleAddress(server, protocol);
  const token = newUuid();
  const now = parts.clock.now();
  // A client that speaks SPICE itself says nothing to the host first.
  const path = type === 'spice-direct' ? null : address.path;
  const grant = { ...address, path, serverUuid: server.uuid, type, serverHost, now, expiresAt: now + tokenTtlSeconds * 1_000_000 };
  const kept = await parts.db.transaction((tx) => grantConsole(tx, token, grant));
  if (!kept) throw serverNotReady({ id: server.uuid });
  return urlWith(urls[type], type, token);
}

const isType = (type: string): type is ConsoleType => Object.hasOwn(consoleTypes, type);

/** noVNC reads the token out of the path it shall open, the others out of their own query. */
function urlWith(base: string, type: ConsoleType, token: string): string {
  if (type !== 'novnc') return `${base}?token=${token}`;
  const [place = '', query = ''] = base.split('?', 2);
  const words = new URLSearchParams(query);
  words.set('path', `${words.get('path') ?? ''}?token=${token}`);
  return `${place}?${words}`;
}
