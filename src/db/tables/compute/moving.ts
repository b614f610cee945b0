import type { Updateable } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import type { Amounts } from '../../../model/resources.ts';
import type { Flavor, Server } from '../../../model/server.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { type Claim, claim, releaseClaim, usedOf } from '../placement/claims.ts';
import { claimParts, handParts, type PartsAsk } from '../placement/parts.ts';
import { writeChange } from './changes.ts';
import { type GroupRule, joinGroupHost, leaveGroupHost, stayOnGroupHost } from './groups.ts';
import type { ServerMigration } from './migrations.ts';
import type { Place } from './placing.ts';
import { giveBackQuota } from './quotas.ts';
import type { ServersTable } from './tables.ts';
import { unlessNext } from './task-word.ts';

// While a server moves, and until its resize is confirmed, it holds a claim on both hosts: on the one it goes to under its own uuid, on the one it came
// from under the move's. As in Nova, so that whichever way it ends, there is room.

type Mover = Pick<Server, 'uuid' | 'projectId' | 'userId' | 'host' | 'epoch'>;

/** Takes a place on another host (or once more on the same one), the old claim going to the move. False: it does not fit or the group forbids it, and nothing
 *  is changed. */
export async function reservePlace(
  tx: Query,
  kind: EngineKind,
  server: Mover,
  migrationUuid: string,
  amounts: Amounts,
  group: GroupRule | undefined,
  place: Place,
  at: Micros,
  enforced: Claim['enforced'] = null,
  /** What notifications say of it. */
  details: object = {},
  asked: PartsAsk | null = null,
): Promise<boolean> {
  await handClaim(tx, server.uuid, migrationUuid, 'MIGRATION');
  const owner = { consumer: server.uuid, projectId: server.projectId, userId: server.userId };
  if ((await claim(tx, { ...owner, provider: place.provider, amounts, at, enforced })) !== null) {
    await handClaim(tx, migrationUuid, server.uuid, 'INSTANCE');
    return false;
  }
  const parts = asked ? await claimParts(tx, kind, server.uuid, place.provider, asked) : undefined;
  if (parts === null) {
    await releaseClaim(tx, server.uuid);
    await handClaim(tx, migrationUuid, server.uuid, 'INSTANCE');
    return false;
  }
  if (group && server.host !== null) {
    // Its own place must not be what forbids it to move; it keeps it all the same until it is known where it stays.
    await leaveGroupHost(tx, server.uuid, server.host);
    const joined = await joinGroupHost(tx, kind, group, place.host);
    if (!joined || place.host !== server.host) await stayOnGroupHost(tx, server.uuid, server.host);
    if (!joined) {
      await releaseClaim(tx, server.uuid);
      await handClaim(tx, migrationUuid, server.uuid, 'INSTANCE');
      return false;
    }
  }
  const body = { ...details, host: place.host, used: await usedOf(tx, place.provider), parts };
  await writeChange(tx, { noun: 'server', key: server.uuid, what: 'placed', projectId: server.projectId, body, at });
  return true;
}

/** Gives the new place back: the server holds its old one again under its own name. Safe twice. */
export async function unreservePlace(
  tx: Query,
  server: Mover,
  migration: Pick<ServerMigration, 'uuid' | 'sourceHost' | 'destHost'>,
  at: Micros,
): Promise<void> {
  if (!(await holds(tx, migration.uuid))) return;
  const used = await releaseClaim(tx, server.uuid);
  await handClaim(tx, migration.uuid, server.uuid, 'INSTANCE');
  if (migration.destHost !== null && migration.destHost !== migration.sourceHost) await leaveGroupHost(tx, server.uuid, migration.destHost);
  const body = { host: migration.destHost, used };
  await writeChange(tx, { noun: 'server', key: server.uuid, what: 'unplaced', projectId: server.projectId, body, at });
}

/** Gives the old place back: the move is over and the server stays where it went. Safe twice. */
export async function leaveOldPlace(
  tx: Query,
  server: Pick<Server, 'uuid' | 'projectId'>,
  migration: Pick<ServerMigration, 'uuid' | 'sourceHost' | 'destHost'>,
  at: Micros,
): Promise<void> {
  if (!(await holds(tx, migration.uuid))) return;
  const used = await releaseClaim(tx, migration.uuid);
  if (migration.sourceHost !== null && migration.destHost !== migration.sourceHost)
    await leaveGroupHost(tx, server.uuid, migration.sourceHost);
  const body = { host: migration.sourceHost, used };
  await writeChange(tx, { noun: 'server', key: server.uuid, what: 'unplaced', projectId: server.projectId, body, at });
}

/** Quota of a resize that has not ended is the larger of both flavors: what is taken beyond `kept` goes back. */
export async function giveBackExcess(
  tx: Query,
  projectId: string,
  { oldFlavor, newFlavor }: Pick<ServerMigration, 'oldFlavor' | 'newFlavor'>,
  kept: Flavor,
): Promise<void> {
  if (!oldFlavor || !newFlavor) return;
  const cores = Math.max(oldFlavor.vcpus, newFlavor.vcpus) - kept.vcpus;
  const ram = Math.max(oldFlavor.memoryMiB, newFlavor.memoryMiB) - kept.memoryMiB;
  if (cores > 0 || ram > 0) await giveBackQuota(tx, projectId, { instances: 0, cores, ram });
}

/** Where a server stands from now on, and under which epoch; with whatever else changes with it. Throws when it was moved or deleted meanwhile: the job
 *  that asks lost it. */
export async function switchHost(
  tx: Query,
  server: Pick<Server, 'uuid' | 'projectId' | 'epoch'>,
  to: { readonly host: string; readonly node: string; readonly epoch: number },
  set: Omit<Updateable<ServersTable>, 'id' | 'uuid' | 'revision' | 'host' | 'node' | 'epoch'>,
  at: Micros,
): Promise<void> {
  const task = {
    ...(set.task_state === undefined ? {} : { task_state: unlessNext('task_state', set.task_state) }),
    ...(set.task_deadline === undefined ? {} : { task_deadline: unlessNext('task_deadline', set.task_deadline) }),
  };
  const moved = await tx
    .updateTable('servers')
    .set((eb) => ({ ...set, ...task, ...to, updated_at: at, revision: eb('revision', '+', 1) }))
    .where('uuid', '=', server.uuid)
    .where('deleted', '=', 0)
    .where('epoch', '=', server.epoch)
    .executeTakeFirst();
  if (moved.numUpdatedRows === 0n) throw new Error(`server ${server.uuid} is gone or was moved by another job`);
  const { vm_state: vmState, task_state: taskState, power_state: powerState } = set;
  const body = {
    host: to.host,
    epoch: to.epoch,
    ...(vmState !== undefined ? { vmState } : {}),
    ...(taskState !== undefined ? { taskState } : {}),
    ...(powerState !== undefined ? { powerState } : {}),
  };
  await writeChange(tx, { noun: 'server', key: server.uuid, what: 'moved', projectId: server.projectId, body, at });
}

const holds = async (tx: Query, consumer: string) =>
  (await tx.selectFrom('consumers').select('uuid').where('uuid', '=', consumer).executeTakeFirst()) !== undefined;

/** One consumer's claims become another's, which has none. */
async function handClaim(tx: Query, from: string, to: string, type: 'INSTANCE' | 'MIGRATION'): Promise<void> {
  await tx.updateTable('consumers').set({ uuid: to, consumer_type: type }).where('uuid', '=', from).execute();
  await tx.updateTable('allocations').set({ consumer_uuid: to }).where('consumer_uuid', '=', from).execute();
  await handParts(tx, from, to);
}
