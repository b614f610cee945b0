import { clearPassword, passwordOf } from '../../db/tables/compute/server-passwords.ts';
import type { Call, Reply } from '../../http/call.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';

/** GET /servers/{id}/os-server-password: what the guest has posted to the metadata service, still encrypted; '' when nothing.
 *  Spec: compute api-ref "Show Server Password". */
export async function showPassword(parts: ServerParts, call: Call): Promise<Reply> {
  const { uuid } = await serverOf(parts.db.read, call);
  return { status: 200, body: { password: await passwordOf(parts.db.read, uuid) } };
}

/** DELETE /servers/{id}/os-server-password: forgets the posted text; the guest's own password stays. */
export async function removePassword(parts: ServerParts, call: Call): Promise<Reply> {
  const { uuid } = await serverOf(parts.db.read, call);
  await clearPassword(parts.db, uuid);
  return { status: 204 };
}
