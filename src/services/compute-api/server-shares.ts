import { findShare, type ServerShareRow, sharesOf } from '../../db/tables/compute/shares.ts';
import type { Call, Reply } from '../../http/call.ts';
import { shareNotFound, sharesUnsupported } from '../../model/errors-acts.ts';
import { isAdmin, serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { mustAllow } from './server-tasks.ts';

// Shares of a server.  Spec: compute api-ref "Servers with shares attachments", microversion 2.97. This cloud has no shared file system service, so
// none can be attached; everything that is refused before such a service is asked is refused as Nova does.

/** What everybody sees, and what admins see of it. */
const shareView = (row: ServerShareRow, admin: boolean) => ({
  share_id: row.share_id,
  status: row.status,
  tag: row.tag,
  ...(admin ? { uuid: row.uuid, ...(row.export_location === null ? {} : { export_location: row.export_location }) } : {}),
});

export async function listShares(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const rows = await sharesOf(parts.db.read, server.uuid);
  return { status: 200, body: { shares: rows.map((row) => shareView(row, false)) } };
}

export async function showShare(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  return { status: 200, body: { share: shareView(await shareOf(parts, call, server.uuid), isAdmin(call)) } };
}

/** Throws the 409 of a server that is not stopped, then sharesUnsupported (403). */
export async function attachShare(parts: ServerParts, call: Call): Promise<Reply> {
  mustAllow('attachShare', 'attach_share', await serverOf(parts.db.read, call), call);
  throw sharesUnsupported({});
}

/** Throws the 409 of a server that is not stopped, then shareNotFound. */
export async function detachShare(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  mustAllow('detachShare', 'detach_share', server, call);
  await shareOf(parts, call, server.uuid);
  throw sharesUnsupported({});
}

async function shareOf(parts: ServerParts, call: Call, serverUuid: string): Promise<ServerShareRow> {
  const id = call.params.shareId ?? '';
  const row = id.length <= 36 ? await findShare(parts.db.read, serverUuid, id.toLowerCase()) : undefined;
  if (!row) throw shareNotFound({ id: id.slice(0, 100) });
  return row;
}
