import { sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import { addressTaken } from '../../../model/errors-network.ts';
import { formatIp, inCidr, parseCidr, parseIp } from '../../../model/ip-address.ts';
import { reservedAddresses } from '../../../model/user-network.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { prepared } from '../../prepared.ts';
import { insertIgnore } from '../../statements.ts';

/** Positions of IPv6 pools end here: numbers stay exact, and nobody hands out more. */
const LAST_POSITION = 2n ** 48n;

/** The addresses ports may get from a subnet, as ranges of positions (distance from the first address), and a way to walk them. */
interface Ranges {
  readonly version: 4 | 6;
  readonly base: bigint;
  readonly size: number;
  readonly ranges: readonly { readonly from: number; readonly to: number; readonly before: number }[];
}
export interface SubnetFacts {
  readonly cidr: string;
  readonly gateway_ip: string | null;
  readonly pools: string;
}
const plans = new LRUCache<string, Ranges>({ max: 2000 });

/** Pools without the gateway and without what user mode keeps. */
function rangesOf(subnet: SubnetFacts): Ranges {
  const key = `${subnet.cidr}|${subnet.gateway_ip}|${subnet.pools}`;
  const kept = plans.get(key);
  if (kept) return kept;
  const cidr = parseCidr(subnet.cidr);
  if (!cidr) throw new Error(`subnet with a cidr that is none: ${subnet.cidr}`);
  const holes = takenBySubnet(subnet)
    .map((text) => parseIp(text)?.value ?? -1n)
    .sort((a, b) => (a < b ? -1 : 1));
  const spans: [bigint, bigint][] = [];
  for (const pool of JSON.parse(subnet.pools) as { start: string; end: string }[]) {
    let from = parseIp(pool.start)?.value ?? 0n;
    const to = parseIp(pool.end)?.value ?? -1n;
    for (const hole of holes) {
      if (hole < from || hole > to) continue;
      if (hole > from) spans.push([from, hole - 1n]);
      from = hole + 1n;
    }
    if (from <= to) spans.push([from, to]);
  }
  let size = 0;
  const ranges = spans.flatMap(([start, end]) => {
    const from = start - cidr.base;
    const to = end - cidr.base < LAST_POSITION ? end - cidr.base : LAST_POSITION;
    if (from > to) return [];
    const range = { from: Number(from), to: Number(to), before: size };
    size += range.to - range.from + 1;
    return [range];
  });
  const plan = { version: cidr.version, base: cidr.base, size, ranges };
  plans.set(key, plan);
  return plan;
}

/** Addresses of a subnet that are never a guest's: its gateway, and router and name server of user mode. */
export function takenBySubnet(subnet: Pick<SubnetFacts, 'cidr' | 'gateway_ip'>): string[] {
  const user = reservedAddresses(subnet.cidr, subnet.gateway_ip);
  return [...new Set([...(subnet.gateway_ip ? [subnet.gateway_ip] : []), ...(user ? [user.router, user.nameServer] : [])])];
}

/** How many addresses the pools hold in all. */
export const poolSize = (subnet: SubnetFacts): number => rangesOf(subnet).size;

const positionOf = (subnet: Pick<SubnetFacts, 'cidr'>, address: string): number | null => {
  const cidr = parseCidr(subnet.cidr);
  const ip = parseIp(address);
  if (!cidr || !ip || !inCidr(cidr, ip)) return null;
  const position = ip.value - cidr.base;
  return position <= LAST_POSITION ? Number(position) : null;
};

const CURSOR = ['cidr', 'gateway_ip', 'pools', 'next_index', 'ip_version'] as const;
const move = (tx: Query, subnetUuid: string, step: number) =>
  tx
    .updateTable('net_subnets')
    .set((eb) => ({ next_index: eb('next_index', '+', step) }))
    .where('uuid', '=', subnetUuid);
const moveAnswering = prepared((db, p: { subnetUuid: string; step: number }) => move(db, p.subnetUuid, p.step).returning(CURSOR));

/** Takes the subnet's lock for the rest of the transaction (its row), by moving the cursor on. Undefined when the subnet is gone. */
async function lockSubnet(tx: Query, kind: EngineKind, subnetUuid: string, step: 0 | 1) {
  if (kind !== 'mariadb') return (await moveAnswering(tx, { subnetUuid, step })).rows[0];
  await move(tx, subnetUuid, step).execute(); // MariaDB has no UPDATE ... RETURNING
  return tx.selectFrom('net_subnets').select(CURSOR).where('uuid', '=', subnetUuid).executeTakeFirst();
}

/** Gives a port some address of a subnet's pools; undefined when none is left or the subnet is gone. Never used ones first, in order, then those given
 *  back. The subnet's row is locked until the end of the transaction, so two transactions never see the same address free. */
export async function allocateAddress(tx: Query, kind: EngineKind, subnetUuid: string, portUuid: string): Promise<string | undefined> {
  const subnet = await lockSubnet(tx, kind, subnetUuid, 1);
  if (!subnet) return undefined;
  const plan = rangesOf(subnet);
  const address = (position: number) => formatIp(plan.version, plan.base + BigInt(position));
  const take = (position: number) =>
    insertIgnore(tx, kind, 'net_addresses', {
      subnet_uuid: subnetUuid,
      address: address(position),
      position,
      port_uuid: portUuid,
      freed: null,
    });
  const index = subnet.next_index - 1;
  if (index < plan.size) {
    const first = atIndex(plan, index);
    if (await take(first)) return address(first);
    // Somebody chose this address himself. On to the next one nobody ever had.
    const gap = await nextGap(tx, plan, subnetUuid, first);
    const position = gap !== undefined && (await take(gap)) ? gap : undefined;
    const next = position === undefined ? plan.size : indexOf(plan, position) + 1;
    await tx.updateTable('net_subnets').set({ next_index: next }).where('uuid', '=', subnetUuid).execute();
    if (position !== undefined) return address(position);
  }
  for (const range of plan.ranges) {
    const freed = await tx
      .selectFrom('net_addresses')
      .select('address')
      .where('subnet_uuid', '=', subnetUuid)
      .where('freed', '>=', range.from)
      .where('freed', '<=', range.to)
      .orderBy('freed')
      .limit(1)
      .executeTakeFirst();
    if (freed && (await retake(tx, subnetUuid, freed.address, portUuid))) return freed.address;
  }
  return undefined;
}

const atIndex = (plan: Ranges, index: number): number => {
  const range = plan.ranges.findLast((span) => span.before <= index);
  if (!range) throw new Error('an index outside the pools');
  return range.from + index - range.before;
};
const indexOf = (plan: Ranges, position: number): number => {
  const range = plan.ranges.find((span) => position >= span.from && position <= span.to);
  return range ? range.before + position - range.from : plan.size;
};

/** The first position after `from` without a row, within the ranges. */
async function nextGap(tx: Query, plan: Ranges, subnetUuid: string, from: number): Promise<number | undefined> {
  for (const range of plan.ranges) {
    if (range.to <= from) continue;
    const start = Math.max(range.from - 1, from);
    const occupied = await tx
      .selectFrom('net_addresses')
      .select('position')
      .where('subnet_uuid', '=', subnetUuid)
      .where('position', '=', start + 1)
      .executeTakeFirst();
    if (!occupied) return start + 1;
    const found = await sql<{ position: number }>`
      select a.position as position from net_addresses a
      where a.subnet_uuid = ${subnetUuid} and a.position > ${start} and a.position < ${range.to}
        and not exists (select 1 from net_addresses b where b.subnet_uuid = a.subnet_uuid and b.position = a.position + 1)
      order by a.position limit 1`.execute(tx);
    const before = found.rows[0]?.position;
    if (before !== undefined) return Number(before) + 1;
  }
  return undefined;
}

async function retake(tx: Query, subnetUuid: string, address: string, portUuid: string): Promise<boolean> {
  const done = await tx
    .updateTable('net_addresses')
    .set({ port_uuid: portUuid, freed: null })
    .where('subnet_uuid', '=', subnetUuid)
    .where('address', '=', address)
    .where('port_uuid', 'is', null)
    .executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

/** Gives a port exactly this address, in its canonical form. Throws addressTaken (409); answers false when the subnet is gone. */
export async function takeAddress(tx: Query, kind: EngineKind, subnetUuid: string, address: string, portUuid: string): Promise<boolean> {
  const subnet = await lockSubnet(tx, kind, subnetUuid, 0);
  if (!subnet) return false;
  const row = { subnet_uuid: subnetUuid, address, position: positionOf(subnet, address), port_uuid: portUuid, freed: null };
  if (await insertIgnore(tx, kind, 'net_addresses', row)) return true;
  if (await retake(tx, subnetUuid, address, portUuid)) return true;
  throw addressTaken({ address, subnet: subnetUuid });
}

/** Gives back every address of a port, or only those named. */
export async function releaseAddresses(
  tx: Query,
  portUuid: string,
  only?: readonly { subnet_id: string; ip_address: string }[],
): Promise<void> {
  const update = tx
    .updateTable('net_addresses')
    .set((eb) => ({ port_uuid: null, freed: eb.ref('position') }))
    .where('port_uuid', '=', portUuid);
  if (!only) {
    await update.execute();
    return;
  }
  for (const fixed of only) await update.where('subnet_uuid', '=', fixed.subnet_id).where('address', '=', fixed.ip_address).execute();
}

/** Whether any port has an address of the subnet; takes the subnet's lock first, so that the answer holds until the end of the transaction. */
export async function subnetIsUsed(tx: Query, kind: EngineKind, subnetUuid: string): Promise<boolean> {
  await lockSubnet(tx, kind, subnetUuid, 0);
  const used = await tx
    .selectFrom('net_addresses')
    .select('address')
    .where('subnet_uuid', '=', subnetUuid)
    .where('port_uuid', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  return used !== undefined;
}
