import type { Input, Output } from '../../bus/bus.ts';
import type { conductorContract, Gone, Owned } from '../../bus/contracts/conductor.ts';
import type { Query } from '../../db/engine.ts';
import { writeChange } from '../../db/tables/compute/changes.ts';
import {
  COMPUTE_BINARY,
  ensureService,
  findHost,
  type HypervisorReport,
  insertHost,
  isUp,
  removeHost,
  takeHostEpoch,
  touchService,
  updateHost,
} from '../../db/tables/compute/hosts.ts';
import { completeEvacuations, heldOn } from '../../db/tables/compute/migrations.ts';
import { setInventories } from '../../db/tables/placement/inventories.ts';
import { followTraits } from '../../db/tables/placement/names.ts';
import { touchClaimed } from '../../db/tables/placement/touches.ts';
import { hostTaken, staleAgent } from '../../model/errors-conductor.ts';
import type { Parts } from './run-job.ts';
import { mustOwnHost } from './server-reports.ts';

const NO_END = 1e9;
type Messages = (typeof conductorContract)['messages'];

/** An agent takes its host. The epoch is compared and set: of two agents with one host's state only one goes on, and whatever the older one still
 *  says is refused. Asking twice with the same boot id answers the same. Throws hostTaken, staleAgent. */
export async function registerHost(parts: Parts, ask: Input<Messages['registerHost']>): Promise<Output<Messages['registerHost']>> {
  const { db, clock, options } = parts;
  const { ratios, reserved } = options;
  const epoch = await db.transaction(async (tx) => {
    const at = clock.now();
    const named = await findHost(tx, { host: ask.host });
    const known = await findHost(tx, { uuid: ask.hostUuid });
    if (known && known.host !== ask.host)
      throw hostTaken({ host: ask.host, why: `this state directory belongs to host ${known.host}; a host cannot be renamed` });
    if (named && named.uuid !== ask.hostUuid) {
      if (isUp(named, at, options.serviceDownTime)) throw hostTaken({ host: ask.host, why: 'one with another state directory is alive' });
      const server = await tx.selectFrom('servers').select('uuid').where('host', '=', ask.host).where('deleted', '=', 0).executeTakeFirst();
      if (server) throw hostTaken({ host: ask.host, why: 'servers stand on it; start the agent with its old state directory' });
      await removeHost(tx, named.uuid);
    }
    const serviceId = await ensureService(tx, db.kind, ask.host, COMPUTE_BINARY, at);
    await touchService(tx, ask.host, COMPUTE_BINARY, at);
    let taken = known?.epoch ?? 1;
    if (!known)
      await insertHost(tx, db.kind, { uuid: ask.hostUuid, host: ask.host, serviceId, bootId: ask.bootId, report: ask.report, at });
    else if (known.bootId !== ask.bootId) {
      const own = known.epoch === ask.epoch;
      const took = own && (await takeHostEpoch(tx, { uuid: ask.hostUuid, epoch: known.epoch, bootId: ask.bootId, report: ask.report, at }));
      // An answer that was late makes agents ask again: the first asking may have been heard at this very moment, by another conductor.
      const now = took ? undefined : await findHost(tx, { uuid: ask.hostUuid });
      if (!took && now?.bootId !== ask.bootId) throw staleAgent({ host: ask.host, epoch: ask.epoch });
      taken = now?.epoch ?? known.epoch + 1;
    }
    await offer(tx, parts, ask.hostUuid, ask.report, known?.traits ?? []);
    await completeEvacuations(tx, ask.host, at);
    await writeChange(tx, { noun: 'host', key: ask.host, what: 'registered', projectId: null, body: { epoch: taken }, at });
    return taken;
  });
  parts.changed();
  // With the rules of older releases the claim alone decides what fits: the agent's own check has no end then.
  const told = options.enforced === null ? { ...ratios } : { vcpu: NO_END, memory: NO_END, disk: NO_END };
  return { epoch, ratios: told, reserved: { ...reserved }, ...(await standing(db.read, ask)) };
}

/** Writes what a host offers into its resource provider: inventories, and what its machine can. */
async function offer(
  tx: Query,
  { db, options, clock }: Parts,
  uuid: string,
  report: HypervisorReport,
  before: readonly string[],
): Promise<void> {
  const at = clock.now();
  const grown = await setInventories(
    tx,
    db.kind,
    { uuid, name: report.hypervisorHostname, at },
    {
      VCPU: { total: report.vcpus, reserved: options.reserved.vcpu, ratio: options.ratios.vcpu },
      MEMORY_MB: {
        total: report.memoryMiB,
        reserved: Math.min(options.reserved.memoryMiB, report.memoryMiB),
        ratio: options.ratios.memory,
      },
      DISK_GB: { total: report.diskGiB, reserved: Math.min(options.reserved.diskGiB, report.diskGiB), ratio: options.ratios.disk },
    },
  );
  if ((await followTraits(tx, db.kind, uuid, { before, now: report.traits, at })) && !grown) await touchClaimed(tx, { uuid });
}

/** "I live", and what the hypervisor offers when that changed. False: a stale agent, which is refused and logged. */
export async function reportHost(parts: Parts, tell: Input<Messages['reportHost']>): Promise<boolean> {
  const { db, clock, log } = parts;
  const heard = await db.transaction(async (tx) => {
    const known = await findHost(tx, { uuid: tell.hostUuid });
    if (!known || known.epoch !== tell.epoch) {
      log.warn(
        { host: tell.host, epoch: tell.epoch, owner: known?.epoch },
        'a report of an agent that no longer owns its host was refused',
      );
      return false;
    }
    const at = clock.now();
    const wasUp = isUp({ ...known, forcedDown: false }, at, parts.options.serviceDownTime);
    await touchService(tx, tell.host, COMPUTE_BINARY, at);
    if (tell.report) {
      await updateHost(tx, { uuid: tell.hostUuid, epoch: tell.epoch, bootId: known.bootId, report: tell.report, at });
      await offer(tx, parts, tell.hostUuid, tell.report, known.traits);
    }
    if (tell.report || !wasUp) await writeChange(tx, { noun: 'host', key: tell.host, what: 'reported', projectId: null, body: {}, at });
    return true;
  });
  parts.changed();
  return heard;
}

export async function reportService({ db, clock }: Parts, tell: Input<Messages['reportService']>): Promise<void> {
  await db.transaction(async (tx) => {
    const at = clock.now();
    await ensureService(tx, db.kind, tell.host, tell.binary, at);
    await touchService(tx, tell.host, tell.binary, at);
  });
}

export async function listOwned({ db }: Parts, ask: Input<Messages['listOwned']>): Promise<Output<Messages['listOwned']>> {
  await mustOwnHost(db.read, ask);
  return standing(db.read, ask);
}

/** What stands on a host, and which of the guests its agent knows belong to servers that are gone. */
async function standing(
  db: Query,
  ask: { host: string; known: readonly string[] },
): Promise<{ owned: Owned[]; deleted: Gone[]; held: string[] }> {
  const rows = await db
    .selectFrom('servers')
    .select(['uuid', 'epoch', 'vm_state', 'task_state', 'power_state'])
    .where('host', '=', ask.host)
    .where('deleted', '=', 0)
    .execute();
  const owned = rows.map((row) => ({
    uuid: row.uuid,
    epoch: row.epoch,
    vmState: row.vm_state,
    taskState: row.task_state,
    powerState: row.power_state,
  }));
  const living = new Set(rows.map((row) => row.uuid));
  const unsure = ask.known.filter((uuid) => !living.has(uuid));
  // Only what is known to be deleted: of a server without a row nobody can say that its disks are worth nothing.
  const deleted: Gone[] = [];
  for (let at = 0; at < unsure.length; at += 500) {
    const part = unsure.slice(at, at + 500);
    const gone = await db
      .selectFrom('servers')
      .select(['uuid', 'deleted_at'])
      .where('uuid', 'in', part)
      .where('deleted', '<>', 0)
      .execute();
    deleted.push(...gone.map((row) => ({ uuid: row.uuid, at: row.deleted_at ?? 0 })));
  }
  return { owned, deleted, held: await heldOn(db, ask.host) };
}
