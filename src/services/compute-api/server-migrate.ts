import { insertMigration, newMigrationUuid } from '../../db/tables/compute/migrations.ts';
import { listServices, serviceIsUp } from '../../db/tables/compute/services.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { computeHostNotFound } from '../../model/errors-compute-admin.ts';
import { sourceStillUp } from '../../model/errors-moves.ts';
import type { Server } from '../../model/server.ts';
import { evacuatedStayStopped, evacuationAsksScheduler, evacuationKeepsPassword, liveMigrationAsksScheduler } from './server-behaviours.ts';
import { jobContext, ownerOf, serverOf } from './server-find.ts';
import { newPassword } from './server-names.ts';
import type { ServerParts } from './server-parts.ts';
import { mustBeOtherHost } from './server-resize.ts';
import { beginTask, mustAllow } from './server-tasks.ts';
import { mustLackTpm } from './server-tpm.ts';
import { isTrue } from './shapes/server-common.ts';
import type { Evacuate, LiveMigrate } from './shapes/server-moves.ts';

/** os-migrateLive: to another host without being turned off. What disks are on, shared storage or the host's own, the hypervisors find out themselves.
 *  Throws moveHostUnknown, moveToSelf (400).  Spec: compute api-ref "Live-Migrate Server". */
export async function liveMigrateServer(parts: ServerParts, call: Call<LiveMigrate>): Promise<Reply> {
  const { host, force } = call.body['os-migrateLive'];
  const seen = await serverOf(parts.db.read, call);
  if (host !== null) call.allow(ownerOf(seen), 'os_compute_api:os-migrate-server:migrate_live:host');
  mustAllow('liveMigrate', 'os-migrateLive', seen, call);
  mustLackTpm('live-migration', seen);
  if (host !== null) await mustBeOtherHost(parts, seen, host);
  if (host === null && isTrue(force)) throw invalidInput({ why: "Can't force to a non-provided destination" });
  const migrationUuid = newMigrationUuid();
  await beginTask(parts, call, seen, (server) => {
    mustAllow('liveMigrate', 'os-migrateLive', server, call);
    const forced = host !== null && (isTrue(force) || !liveMigrationAsksScheduler(call.version));
    return {
      taskState: 'migrating',
      actionName: 'live-migration',
      kind: 'live-migrate',
      input: { serverUuid: server.uuid, migrationUuid, host, force: forced, vmStateBefore: server.vmState },
      also: (tx, now) =>
        insertMigration(tx, {
          uuid: migrationUuid,
          server,
          userId: call.caller.userId,
          type: 'live-migration',
          status: 'accepted',
          newFlavor: null,
          at: now,
        }),
    };
  });
  return { status: 202 };
}

/** evacuate: made anew on another host, because its own is down. Answers 200, before 2.14 with the password it will have.
 *  Throws computeHostNotFound (404), sourceStillUp, moveToSelf (400).  Spec: compute api-ref "Evacuate Server". */
export async function evacuateServer(parts: ServerParts, call: Call<Evacuate>): Promise<Reply> {
  const { host, force, adminPass: asked, onSharedStorage } = call.body.evacuate;
  const seen = await serverOf(parts.db.read, call);
  const answersPassword = !evacuationKeepsPassword(call.version);
  if (answersPassword && isTrue(onSharedStorage) && asked !== undefined)
    throw invalidInput({ why: "admin password can't be changed on existing disk" });
  if (host === undefined && isTrue(force)) throw invalidInput({ why: "Can't force to a non-provided destination" });
  if (host !== undefined) await mustBeOtherHost(parts, seen, host, computeHostNotFound); // a 404, though it is the body that names it
  mustAllow('evacuate', 'evacuate', seen, call);
  mustLackTpm('evacuate', seen);
  await mustBeDown(parts, seen);
  const adminPass = asked ?? (answersPassword && !isTrue(onSharedStorage) ? newPassword() : null);
  const migrationUuid = newMigrationUuid();
  await beginTask(parts, call, seen, (server) => {
    mustAllow('evacuate', 'evacuate', server, call);
    const forced = host !== undefined && (isTrue(force) || !evacuationAsksScheduler(call.version));
    const stopped = evacuatedStayStopped(call.version);
    return {
      taskState: 'rebuilding',
      actionName: 'evacuate',
      kind: 'evacuate-server',
      input: {
        serverUuid: server.uuid,
        migrationUuid,
        host: host ?? null,
        force: forced,
        vmStateBefore: server.vmState,
        stopped,
        adminPass,
      },
      details: { begun: { action: 'evacuate', ...askerOf(call) } },
      also: (tx, now) =>
        insertMigration(tx, {
          uuid: migrationUuid,
          server,
          userId: call.caller.userId,
          type: 'evacuation',
          status: 'accepted',
          newFlavor: null,
          at: now,
        }),
    };
  });
  if (!answersPassword) return { status: 200 };
  return { status: 200, body: (parts.showPasswords ?? true) ? { adminPass } : {} };
}

/** Whom notifications name. */
function askerOf(call: Call<unknown>) {
  const { requestId, userId, projectId } = jobContext(call);
  return { requestId, userId, projectId };
}

async function mustBeDown(parts: ServerParts, server: Server): Promise<void> {
  if (server.host === null) return;
  const [service] = await listServices(parts.db.read, { host: server.host, binary: 'nova-compute' });
  if (service && serviceIsUp(service, parts.clock.now(), parts.serviceDownSeconds ?? 60)) throw sourceStillUp({ host: server.host });
}
