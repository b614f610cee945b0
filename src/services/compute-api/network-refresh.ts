import { writeChange } from '../../db/tables/compute/changes.ts';
import { findServer } from '../../db/tables/compute/servers.ts';
import type { NetworkingParts } from './networking.ts';

const TRIES = 10;

/** Brings what a server's row says of its ports and security groups up to what the network service says now. Views and lists only read the row.
 *  What is read is written only on the very row it was read after: of two that refresh at once, the one with the older news looks again. */
export async function refreshNetwork(parts: NetworkingParts, uuid: string): Promise<void> {
  const { db, clock, networking } = parts;
  for (let tries = 0; tries < TRIES; tries++) {
    const server = await findServer(db.read, uuid);
    if (!server || server.vmState === 'building') return; // the build's own report says it
    const ports = await networking.portsOf(uuid);
    const names = await networking.groupNames(ports.flatMap((port) => port.securityGroups));
    const set = { network_info: JSON.stringify(ports), security_groups: JSON.stringify(names) };
    if (set.network_info === JSON.stringify(server.networkInfo) && set.security_groups === JSON.stringify(server.securityGroups)) return;
    const at = clock.now();
    const written = await db.transaction(async (tx) => {
      const { numUpdatedRows } = await tx
        .updateTable('servers')
        .set({ ...set, revision: server.revision + 1, updated_at: at })
        .where('id', '=', server.id)
        .where('revision', '=', server.revision)
        .executeTakeFirst();
      if (numUpdatedRows === 0n) return false;
      await writeChange(tx, { noun: 'server', key: uuid, what: 'network', projectId: server.projectId, body: {}, at });
      return true;
    });
    if (written) return;
  }
  parts.log.warn({ server: uuid }, 'a server changed too often for its addresses to be read anew');
}
