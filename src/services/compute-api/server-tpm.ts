import { tpmForbids } from '../../model/errors-moves.ts';
import type { Server } from '../../model/server.ts';

/** Whether a server has a TPM, by its flavor or its image. */
const hasTpm = ({ flavor, image }: Pick<Server, 'flavor' | 'image'>) =>
  flavor.extraSpecs['hw:tpm_version'] !== undefined || (image?.properties.hw_tpm_version ?? '') !== '';

/** Refuses what would lose the secrets of a server's TPM. Throws tpmForbids (409).  Spec: Nova admin guide "Emulated Trusted Platform Module", limitations. */
export function mustLackTpm(operation: string, server: Pick<Server, 'uuid' | 'flavor' | 'image'>): void {
  if (hasTpm(server)) throw tpmForbids({ operation, id: server.uuid });
}
