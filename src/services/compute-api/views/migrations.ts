import { endedStatuses, type ServerMigration } from '../../../db/tables/compute/migrations.ts';
import { from } from '../../../lib/answer.ts';
import { isoMicros } from '../../../lib/clock.ts';
import type { LinkRoots } from './server-links.ts';

/** In progress: what a server's own list of migrations shows. */
export const isInProgress = (move: ServerMigration) =>
  move.type === 'live-migration' && move.status !== 'accepted' && !endedStatuses.some((status) => status === move.status);

const places = (move: ServerMigration, hosts: boolean) => ({
  source_compute: hosts ? move.sourceHost : null,
  source_node: hosts ? move.sourceNode : null,
  dest_compute: hosts ? move.destHost : null,
  dest_host: hosts ? move.destIp : null,
  dest_node: hosts ? move.destNode : null,
});
const times = (move: ServerMigration) => ({
  created_at: isoMicros(move.createdAt),
  updated_at: move.updatedAt === null ? null : isoMicros(move.updatedAt),
});

/** A move in the list of all. `hosts`: whether the caller may see them.  Spec: compute api-ref "List Migrations". */
export const migrationView = (move: ServerMigration, roots: LinkRoots, hosts: boolean) => {
  const path = `servers/${move.serverUuid}/migrations/${move.id}`;
  return {
    id: move.id,
    uuid: from('2.59', move.uuid),
    instance_uuid: move.serverUuid,
    status: move.status,
    migration_type: from('2.23', move.type),
    old_instance_type_id: move.oldFlavor?.id ?? null,
    new_instance_type_id: move.newFlavor?.id ?? null,
    ...places(move, hosts),
    ...times(move),
    user_id: from('2.80', move.userId),
    project_id: from('2.80', move.projectId),
    links: from(
      '2.23',
      isInProgress(move)
        ? [
            { rel: 'self', href: `${roots.self}/${path}` },
            { rel: 'bookmark', href: `${roots.bookmark}/${path}` },
          ]
        : undefined,
    ),
  };
};

/** A live migration on its way, with its bytes.  Spec: compute api-ref "Show Migration Details". */
export const liveMigrationView = (move: ServerMigration, hosts: boolean) => ({
  id: move.id,
  uuid: from('2.59', move.uuid),
  server_uuid: move.serverUuid,
  status: move.status,
  ...places(move, hosts),
  ...times(move),
  memory_total_bytes: move.progress?.memoryTotal ?? null,
  memory_processed_bytes: move.progress?.memoryProcessed ?? null,
  memory_remaining_bytes: move.progress?.memoryRemaining ?? null,
  disk_total_bytes: move.progress?.diskTotal ?? null,
  disk_processed_bytes: move.progress?.diskProcessed ?? null,
  disk_remaining_bytes: move.progress?.diskRemaining ?? null,
  user_id: from('2.80', move.userId),
  project_id: from('2.80', move.projectId),
});
