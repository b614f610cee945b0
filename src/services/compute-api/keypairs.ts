import type { Query } from '../../db/engine.ts';
import { writeChanges } from '../../db/tables/compute/changes.ts';
import { addKeypair, deleteKeypair, findKeypair, type Keypair, keypairsUsed, listKeypairs } from '../../db/tables/compute/keypairs.ts';
import { limitsOf } from '../../db/tables/compute/quota-limits.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import type { Micros } from '../../lib/clock.ts';
import { keypairInvalid, keypairMarkerNotFound, keypairNotFound, keypairQuota, keypairTaken } from '../../model/errors-compute-api.ts';
import { keypairPayload, notice } from '../../model/notices.ts';
import { nextLink, pageLimit } from './links.ts';
import { keypairStatusesAreProper, keypairsAreOnlyImported, keypairsArePaged, keypairsNameTheirUser } from './microversions.ts';
import { type ComputeParts, maxLimitOf, publisherOf, quotasOf } from './parts.ts';
import type { KeypairCreate } from './shapes/keypairs.ts';
import { makeSshKey, sshFingerprint } from './ssh-keys.ts';
import { keypairMade, keypairSummary, keypairView } from './views/keypairs.ts';
import { certificateFingerprint, makeCertificate } from './x509-keys.ts';

/** Whose key pairs are meant: the caller's, or from 2.10 on the named user's; policy decides. */
function owner(call: Call<unknown>, named: string | undefined): string {
  const userId = keypairsNameTheirUser(call.version) && named ? named : call.caller.userId;
  call.allow({ user_id: userId, project_id: call.caller.projectId });
  return userId;
}

/** Lists a user's key pairs by name.  Throws keypairMarkerNotFound (400).  Spec: compute api-ref "List Keypairs". */
export async function listKeypairNames(parts: ComputeParts, call: Call): Promise<Reply> {
  const userId = owner(call, one(call, 'user_id'));
  const paged = keypairsArePaged(call.version);
  const limit = paged ? pageLimit(call, maxLimitOf(parts)) : undefined;
  const marker = paged ? one(call, 'marker') : undefined;
  if (marker !== undefined && !(await findKeypair(parts.db.read, userId, marker))) throw keypairMarkerNotFound({ marker });
  const keypairs = await listKeypairs(parts.db.read, userId, { ...(limit === undefined ? {} : { limit }), after: marker });
  const full = limit !== undefined && limit > 0 && keypairs.length === limit;
  const links = nextLink(call, 'keypairs', 'os-keypairs', { full, marker: keypairs.at(-1)?.name });
  return { status: 200, body: { keypairs: keypairs.map(keypairSummary), ...links } };
}

/** Imports a public key or a certificate, or (to 2.91) makes a pair and shows its private half this once.
 *  Throws keypairInvalid (400), keypairQuota (403), keypairTaken (409).  Spec: compute api-ref "Import (or create) Keypair". */
export async function createKeypair(parts: ComputeParts, call: Call<KeypairCreate>): Promise<Reply> {
  const wish = call.body.keypair;
  const userId = owner(call, wish.user_id);
  const now = parts.clock.now();
  const { privateKey, ...half } = await keyOf(call, wish, userId, now);
  const keypair: Omit<Keypair, 'id'> = { userId, name: wish.name, type: wish.type ?? 'ssh', ...half, createdAt: now };
  await parts.db.transaction(async (tx) => {
    const { key_pairs: limit } = await limitsOf(tx, quotasOf(parts), call.caller.projectId ?? '', userId);
    const outcome = await addKeypair(tx, parts.db.kind, keypair, limit);
    if (outcome === 'taken') throw keypairTaken({ name: keypair.name });
    if (outcome === 'over quota') throw keypairQuota({ limit, used: await keypairsUsed(tx, userId), asked: 1 });
    const before = { ...keypair, fingerprint: null, publicKey: wish.public_key ?? null };
    await tell(parts, call, tx, privateKey === undefined ? 'import' : 'create', before, keypair);
  });
  return { status: keypairStatusesAreProper(call.version) ? 201 : 200, body: { keypair: keypairMade(keypair, privateKey) } };
}

/** Listeners outside hear of it by the change feed: how it began, and how it ended. */
async function tell(
  parts: ComputeParts,
  call: Call<unknown>,
  tx: Query,
  deed: 'create' | 'import' | 'delete',
  before: Parameters<typeof keypairPayload>[0],
  after: Parameters<typeof keypairPayload>[0],
): Promise<void> {
  const row = (phase: 'start' | 'end', keypair: typeof before) => ({
    noun: 'keypair' as const,
    key: after.name.slice(0, 64), // as long as the column
    what: phase === 'start' ? 'begun' : deed === 'delete' ? 'deleted' : 'created',
    projectId: call.caller.projectId,
    body: { userId: after.userId, notice: notice(publisherOf(parts), `keypair.${deed}.${phase}`, keypairPayload(keypair)) },
    at: parts.clock.now(),
  });
  await writeChanges(tx, [row('start', before), row('end', after)]);
}

async function keyOf(
  call: Call<unknown>,
  wish: KeypairCreate['keypair'],
  userId: string,
  now: Micros,
): Promise<{ publicKey: string; fingerprint: string; privateKey?: string }> {
  const given = wish.public_key;
  if (given !== undefined) {
    return { publicKey: given, fingerprint: wish.type === 'x509' ? certificateFingerprint(given) : await sshFingerprint(given) };
  }
  if (keypairsAreOnlyImported(call.version)) throw keypairInvalid({ why: 'a public_key is needed' }); // the shape has refused it before
  return wish.type === 'x509' ? makeCertificate(userId, now) : makeSshKey();
}

/** Shows a key pair.  Throws keypairNotFound (404).  Spec: compute api-ref "Show Keypair Details". */
export async function showKeypair(parts: ComputeParts, call: Call): Promise<Reply> {
  const userId = owner(call, one(call, 'user_id'));
  const name = call.params.name ?? '';
  const keypair = await findKeypair(parts.db.read, userId, name);
  if (!keypair) throw keypairNotFound({ user: userId, name });
  return { status: 200, body: { keypair: keypairView(keypair) } };
}

/** Deletes a key pair; servers keep the public half they were given.  Throws keypairNotFound (404).  Spec: compute api-ref "Delete Keypair". */
export async function removeKeypair(parts: ComputeParts, call: Call): Promise<Reply> {
  const userId = owner(call, one(call, 'user_id'));
  const name = call.params.name ?? '';
  await parts.db.transaction(async (tx) => {
    const keypair = await findKeypair(tx, userId, name);
    if (!keypair || !(await deleteKeypair(tx, userId, name))) throw keypairNotFound({ user: userId, name });
    await tell(parts, call, tx, 'delete', keypair, keypair);
  });
  return { status: keypairStatusesAreProper(call.version) ? 204 : 202 };
}
