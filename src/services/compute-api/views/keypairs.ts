import type { Keypair } from '../../../db/tables/compute/keypairs.ts';
import { from } from '../../../lib/answer.ts';
import { isoMicros } from '../../../lib/clock.ts';

const base = (keypair: Omit<Keypair, 'id'>) => ({
  name: keypair.name,
  public_key: keypair.publicKey,
  fingerprint: keypair.fingerprint,
  type: from('2.2', keypair.type),
});

/** A key pair in a list.  Spec: compute api-ref "List Keypairs". */
export const keypairSummary = (keypair: Keypair) => ({ keypair: base(keypair) });

/** A key pair just made; the private half is shown this once, when it was made here.  Spec: compute api-ref "Import (or create) Keypair". */
export const keypairMade = (keypair: Omit<Keypair, 'id'>, privateKey: string | undefined) => ({
  ...base(keypair),
  user_id: keypair.userId,
  private_key: privateKey,
});

/** A key pair in full.  Spec: compute api-ref "Show Keypair Details". */
export const keypairView = (keypair: Keypair) => ({
  ...base(keypair),
  user_id: keypair.userId,
  id: keypair.id,
  created_at: isoMicros(keypair.createdAt),
  updated_at: null,
  deleted: false,
  deleted_at: null,
});
