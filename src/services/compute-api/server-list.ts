import { serversById, tagsOf } from '../../db/tables/compute/servers.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { readFilters } from './server-filters.ts';
import { hostFacts, hostSight, isAdmin, shownStatus } from './server-find.ts';
import { cursorOf, type LightRow, readOrder, readPage } from './server-pages.ts';
import type { ServerParts } from './server-parts.ts';
import { joinRendered, type ServerRendering, serverRendering } from './server-rendering.ts';
import { linkRoots, nextPage } from './views/server-links.ts';
import { serverBrief } from './views/server-view.ts';

/** GET /servers: id, name and links.  Spec: compute api-ref "List Servers". */
export async function listServers(parts: ServerParts, call: Call): Promise<Reply> {
  const { rows, full } = await pageOf(parts, call, 'os_compute_api:servers:index:get_all_tenants');
  const roots = linkRoots(call);
  return {
    status: 200,
    body: {
      servers: rows.map((row) => serverBrief(row, roots)),
      ...(full ? { servers_links: nextPage(call, 'servers', lastOf(rows)) } : {}),
    },
  };
}

const renderings = new WeakMap<ServerParts, ServerRendering>();
function renderingOf(parts: ServerParts): ServerRendering {
  const ready = renderings.get(parts) ?? serverRendering();
  renderings.set(parts, ready);
  return ready;
}

/** GET /servers/detail. Renders each server once as long as it does not change.  Spec: compute api-ref "List Servers Detailed". */
export async function listServerDetails(parts: ServerParts, call: Call): Promise<Reply> {
  const { rows, full } = await pageOf(parts, call, 'os_compute_api:servers:detail:get_all_tenants');
  const pieces = await render(parts, call, rows);
  const links = full ? `,"servers_links":${JSON.stringify(nextPage(call, 'servers/detail', lastOf(rows)))}` : '';
  return { status: 200, raw: joinRendered(pieces, links) };
}
const NOTHING = Buffer.alloc(0);
const lastOf = (rows: readonly LightRow[]) => rows.at(-1)?.uuid ?? '';

async function render(parts: ServerParts, call: Call, rows: readonly LightRow[]): Promise<Buffer[]> {
  const rendering = renderingOf(parts);
  const sight = hostSight(call);
  const hosts = new Set<string>();
  for (const row of rows) if (row.host !== null) hosts.add(row.host);
  const facts = await hostFacts(parts, [...hosts]);
  const dress = {
    roots: linkRoots(call),
    extended: call.allows('os_compute_api:os-extended-server-attributes'),
    extraSpecs: call.allows('os_compute_api:servers:show:flavor-extra-specs'),
    admin: isAdmin(call),
  };
  const list = rendering.listKey(call.version, dress);
  const pieces: Buffer[] = [];
  const missing: { at: number; row: LightRow & { hostZone: string | null; hostStatus: string | undefined } }[] = [];
  for (const row of rows) {
    const fact = row.host === null ? undefined : facts.get(row.host);
    const dressed = { ...row, hostZone: fact?.zone ?? null, hostStatus: shownStatus(sight, row.host, fact) };
    const piece = rendering.find(dressed, list);
    if (piece === undefined) missing.push({ at: pieces.length, row: dressed });
    pieces.push(piece ?? NOTHING);
  }
  if (missing.length === 0) return pieces;
  const ids = missing.map(({ row }) => row.id);
  // Servers before tags: tags of a later revision under an older one are never shown, the reverse would be.
  const servers = new Map((await serversById(parts.db.read, ids)).map((server) => [server.id, server]));
  const tags = await tagsOf(parts.db.read, ids);
  for (const { at, row } of missing) {
    const server = servers.get(row.id);
    if (server) pieces[at] = rendering.render(server, row, list, call.version, dress, tags.get(row.id) ?? []);
  }
  return pieces.filter((piece) => piece !== NOTHING); // a row that was purged between the two reads
}

async function pageOf(parts: ServerParts, call: Call, allTenantsRule: string): Promise<{ rows: LightRow[]; full: boolean }> {
  const db = parts.db.read;
  const filters = readFilters(call, allTenantsRule);
  const order = readOrder(call);
  const longest = parts.maxLimit ?? 1000;
  const asked = one(call, 'limit');
  const limit = asked === undefined || asked === '' ? longest : Math.min(Number(asked), longest);
  const marker = one(call, 'marker');
  const cursor = marker === undefined ? undefined : await cursorOf(db, call, order, marker);
  const rows = await readPage(db, filters, order, cursor, limit);
  return { rows, full: rows.length > 0 && rows.length === limit };
}
