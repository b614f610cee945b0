import type { Micros } from '../../../lib/clock.ts';
import type { Amounts } from '../../../model/resources.ts';
import type { Server, ServerFault } from '../../../model/server.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { met, prepared } from '../../prepared.ts';
import { type Claim, claim, releaseClaim, usedOf } from '../placement/claims.ts';
import { claimParts, type PartsAsk } from '../placement/parts.ts';
import { writeChange } from './changes.ts';
import { type GroupRule, joinGroupHost, leaveGroupHost } from './groups.ts';
import { giveBackQuota, shareOf } from './quotas.ts';
import { isNextTask, type NextTask, unlessNext } from './task-word.ts';

export interface Place {
  readonly host: string;
  readonly node: string;
  /** uuid of the resource provider, which is the hypervisor's. */
  readonly provider: string;
}
interface MoveIn {
  readonly uuid: string;
  readonly host: string;
  readonly node: string;
  readonly epoch: number;
  readonly before: number;
  readonly taskState: string | null;
  readonly deadline: Micros;
  readonly at: Micros;
}
const moveIn = prepared((db, p: MoveIn) =>
  db
    .updateTable('servers')
    .set((eb) => ({
      host: p.host,
      node: p.node,
      launched_on: p.host,
      epoch: p.epoch,
      task_state: unlessNext('task_state', p.taskState),
      task_deadline: unlessNext('task_deadline', p.deadline),
      updated_at: p.at,
      revision: eb('revision', '+', 1),
    }))
    .where('uuid', '=', p.uuid)
    .where('deleted', '=', 0)
    .where('host', 'is', null)
    .where('epoch', '=', p.before),
);

/** Puts a server on a place that still takes it, and answers its new owner epoch; null when claim or group rule refuse, and then nothing is changed.
 *  Claim, cells and devices, group rule, row and change row, in this order everywhere, as part of the transaction that moves the server's job. Throws when the server is gone
 *  or stands somewhere already: the job that asks lost it. */
export async function placeServer(
  tx: Query,
  kind: EngineKind,
  server: Pick<Server, 'uuid' | 'projectId' | 'userId' | 'epoch'>,
  amounts: Amounts,
  group: GroupRule | undefined,
  place: Place,
  set: { taskState: string | null; deadline: Micros; at: Micros; enforced?: Claim['enforced']; parts?: PartsAsk | null },
): Promise<number | null> {
  const owner = { consumer: server.uuid, projectId: server.projectId, userId: server.userId };
  if ((await claim(tx, { ...owner, provider: place.provider, amounts, at: set.at, enforced: set.enforced ?? null })) !== null) return null;
  const parts = set.parts ? await claimParts(tx, kind, server.uuid, place.provider, set.parts) : undefined;
  if (parts === null) {
    await releaseClaim(tx, server.uuid);
    return null;
  }
  if (group && !(await joinGroupHost(tx, kind, group, place.host))) {
    await releaseClaim(tx, server.uuid);
    return null;
  }
  const epoch = server.epoch + 1;
  const { host, node } = place;
  const { taskState, deadline, at } = set;
  if (!met(await moveIn(tx, { taskState, deadline, at, host, node, epoch, uuid: server.uuid, before: server.epoch })))
    throw new Error(`server ${server.uuid} is gone or stands on a host already`);
  const body = { host: place.host, epoch, taskState: set.taskState, used: await usedOf(tx, place.provider), parts };
  await writeChange(tx, { noun: 'server', key: server.uuid, what: 'placed', projectId: server.projectId, body, at: set.at });
  return epoch;
}

/** Takes a server off its host: claim and group counters go back. Safe twice. */
export async function unplaceServer(
  tx: Query,
  server: Pick<Server, 'uuid' | 'projectId'>,
  host: string,
  set: { vmState: string; taskState: string | null; deadline: Micros | null; at: Micros },
): Promise<void> {
  const moved = await tx
    .updateTable('servers')
    .set((eb) => ({
      host: null,
      node: null,
      vm_state: set.vmState,
      task_state: unlessNext('task_state', set.taskState),
      task_deadline: unlessNext('task_deadline', set.deadline),
      updated_at: set.at,
      revision: eb('revision', '+', 1),
    }))
    .where('uuid', '=', server.uuid)
    .where('host', '=', host)
    .where('deleted', '=', 0)
    .executeTakeFirst();
  if (moved.numUpdatedRows === 0n) return;
  const used = await releaseClaim(tx, server.uuid);
  await leaveGroupHost(tx, server.uuid, host);
  const body = { host, vmState: set.vmState, taskState: set.taskState, used };
  await writeChange(tx, { noun: 'server', key: server.uuid, what: 'unplaced', projectId: server.projectId, body, at: set.at });
}

export interface ServerSet {
  readonly vm_state?: string;
  readonly task_state?: string | null;
  readonly task_deadline?: Micros | null;
  readonly power_state?: number;
  readonly network_info?: string;
  readonly launched_at?: Micros;
  readonly fault?: string | null;
  readonly progress?: number;
  readonly soft_deleted_at?: Micros | null;
  readonly image_id?: string | null;
  readonly image?: string | null;
}

interface Writing extends ServerSet {
  readonly uuid: string;
  readonly at: Micros;
  readonly epoch: number | undefined;
  readonly inState: string | undefined;
  readonly inTask: string | undefined;
}
/** One for each choice of columns and conditions: as many as there are callers. */
const writings = new Map<string, ReturnType<typeof writing>>();
const writing = (
  columns: readonly (keyof ServerSet)[],
  own: NextTask | undefined,
  more: { epoch?: number; vmState?: string; noTask?: true; inTask?: string },
) =>
  prepared((db, p: Writing) =>
    db
      .updateTable('servers')
      .set((eb) => ({
        ...Object.fromEntries(
          columns.map((column) => [
            column,
            column === 'task_state' || column === 'task_deadline' ? unlessNext(column, p[column], own) : p[column],
          ]),
        ),
        updated_at: p.at,
        revision: eb('revision', '+', 1),
      }))
      .where('uuid', '=', p.uuid)
      .where('deleted', '=', 0)
      .$if(more.epoch !== undefined, (q) => q.where('epoch', '=', p.epoch ?? 0))
      .$if(more.vmState !== undefined, (q) => q.where('vm_state', '=', p.inState ?? ''))
      .$if(more.inTask !== undefined, (q) => q.where('task_state', '=', p.inTask ?? ''))
      .$if(more.noTask === true, (q) => q.where('task_state', 'is', null)),
  );

/** Writes a server's state with its change row; only while it lives, and while it is owned under `epoch`, in that vm_state, or in that task (or none), when
 *  these are given. False: it is not. The task of a delete that was asked for meanwhile stays, unless it is the writer's `own`. */
export async function setServer(
  tx: Query,
  server: Pick<Server, 'uuid' | 'projectId'>,
  asked: ServerSet,
  more: {
    what: string;
    at: Micros;
    epoch?: number;
    vmState?: string;
    noTask?: true;
    inTask?: string;
    own?: NextTask | undefined;
    body?: object;
  },
): Promise<boolean> {
  const { at, epoch, vmState: inState, noTask, inTask } = more;
  // What was on its way has ended.
  const set = asked.task_state === null && asked.progress === undefined ? { ...asked, progress: 0 } : asked;
  const columns = Object.keys(set) as (keyof ServerSet)[]; // a closed list: callers write it out
  const own = isNextTask(set.task_state) ? set.task_state : more.own;
  const shape = `${columns} ${own} ${epoch !== undefined} ${inState !== undefined} ${noTask} ${inTask !== undefined}`;
  const write = writings.get(shape) ?? writing(columns, own, more);
  writings.set(shape, write);
  if (!met(await write(tx, { ...set, uuid: server.uuid, at, epoch, inState, inTask }))) return false;
  const { vm_state: vmState, task_state: taskState, power_state: powerState } = set;
  const body = {
    ...(vmState !== undefined ? { vmState } : {}),
    ...(taskState !== undefined ? { taskState } : {}),
    ...(powerState !== undefined ? { powerState } : {}),
    ...more.body,
  };
  await writeChange(tx, { noun: 'server', key: server.uuid, what: more.what, projectId: server.projectId, body, at: more.at });
  return true;
}

/** A fault as the row keeps it. */
export const faultText = (fault: ServerFault) => JSON.stringify(fault);

/** Deletes a server for good: claim, group places, quota and name go back in one transaction. False: it was deleted already. */
export async function releaseServer(
  tx: Query,
  server: Pick<Server, 'id' | 'uuid' | 'projectId' | 'host' | 'softDeletedAt'>,
  flavor: { vcpus: number; memoryMiB: number },
  at: Micros,
): Promise<boolean> {
  const gone = await tx
    .updateTable('servers')
    .set((eb) => ({
      deleted: eb.ref('id'),
      deleted_at: at,
      terminated_at: at,
      vm_state: 'deleted',
      task_state: null,
      task_deadline: null,
      power_state: 0,
      updated_at: at,
      revision: eb('revision', '+', 1),
    }))
    .where('uuid', '=', server.uuid)
    .where('deleted', '=', 0)
    .executeTakeFirst();
  if (gone.numUpdatedRows === 0n) return false;
  const used = await releaseClaim(tx, server.uuid);
  if (server.host !== null) await leaveGroupHost(tx, server.uuid, server.host);
  for (const table of ['server_group_members', 'console_tokens', 'server_passwords'] as const)
    await tx.deleteFrom(table).where('server_uuid', '=', server.uuid).execute();
  if (server.softDeletedAt === null) await giveBackQuota(tx, server.projectId, shareOf(flavor)); // else it was given back then
  const body = { host: server.host, vmState: 'deleted', used };
  await writeChange(tx, { noun: 'server', key: server.uuid, what: 'deleted', projectId: server.projectId, body, at });
  return true;
}
