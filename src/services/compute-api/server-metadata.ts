import { quotaLimits } from '../../db/tables/compute/quotas.ts';
import type { Call, Reply } from '../../http/call.ts';
import { metadataItemMissing, metadataKeyMismatch } from '../../model/errors-compute.ts';
import type { Action } from '../../model/server-states.ts';
import { serverOf } from './server-find.ts';
import { defaultLimits, type ServerParts } from './server-parts.ts';
import { changeServer, mustAllow } from './server-tasks.ts';
import { checkMetadata } from './server-wish.ts';

type Metadata = Readonly<Record<string, string>>;

/** GET /servers/{id}/metadata.  Spec: compute api-ref "Server metadata". */
export async function listMetadata(parts: ServerParts, call: Call): Promise<Reply> {
  return { status: 200, body: { metadata: (await serverOf(parts.db.read, call)).metadata } };
}

export async function showMetadataItem(parts: ServerParts, call: Call): Promise<Reply> {
  const { metadata } = await serverOf(parts.db.read, call);
  const key = call.params.key ?? '';
  if (!Object.hasOwn(metadata, key)) throw metadataItemMissing({});
  return { status: 200, body: { meta: { [key]: metadata[key] } } };
}

/** POST: adds items to those that are there. */
export async function addMetadata(parts: ServerParts, call: Call<{ metadata: Metadata }>): Promise<Reply> {
  const metadata = await change(parts, call, 'updateMetadata', (old) => ({ ...old, ...call.body.metadata }));
  return { status: 200, body: { metadata } };
}

/** PUT of all: these items and no others. */
export async function replaceMetadata(parts: ServerParts, call: Call<{ metadata: Metadata }>): Promise<Reply> {
  const metadata = await change(parts, call, 'updateMetadata', () => call.body.metadata);
  return { status: 200, body: { metadata } };
}

/** PUT of one item; its key stands in the path and in the body. */
export async function setMetadataItem(parts: ServerParts, call: Call<{ meta: Metadata }>): Promise<Reply> {
  const { meta } = call.body;
  if (!Object.hasOwn(meta, call.params.key ?? '')) {
    await serverOf(parts.db.read, call);
    throw metadataKeyMismatch({});
  }
  await change(parts, call, 'updateMetadata', (old) => ({ ...old, ...meta }));
  return { status: 200, body: { meta } };
}

export async function deleteMetadataItem(parts: ServerParts, call: Call): Promise<Reply> {
  const key = call.params.key ?? '';
  await change(parts, call, 'deleteMetadata', (old) => {
    if (!Object.hasOwn(old, key)) throw metadataItemMissing({});
    return Object.fromEntries(Object.entries(old).filter(([other]) => other !== key));
  });
  return { status: 204 };
}

const WORDS = { updateMetadata: 'update metadata', deleteMetadata: 'delete metadata' } as const;

async function change(
  parts: ServerParts,
  call: Call,
  action: Extract<Action, keyof typeof WORDS>,
  edit: (old: Metadata) => Metadata,
): Promise<Metadata> {
  const seen = await serverOf(parts.db.read, call);
  const limits = await quotaLimits(parts.db.read, seen.projectId, defaultLimits(parts));
  const server = await changeServer(parts, seen, (now) => {
    const next = edit(now.metadata);
    mustAllow(action, WORDS[action], now, call);
    if (action === 'updateMetadata') checkMetadata(next, limits);
    return { set: { metadata: JSON.stringify(next) }, what: 'metadata' };
  });
  return server.metadata;
}
