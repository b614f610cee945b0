import { randomBytes } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import { met, prepared } from '../../db/prepared.ts';
import { insertIgnore } from '../../db/statements.ts';
import { allocateAddress, releaseAddresses, takeAddress, takenBySubnet } from '../../db/tables/network/addresses.ts';
import { giveQuota, takeQuota } from '../../db/tables/network/quotas.ts';
import type { NetPortsTable } from '../../db/tables/network/tables.ts';
import { newUuid } from '../../lib/ids.ts';
import {
  addressNotInNetwork,
  addressNotInSubnet,
  addressReserved,
  badNetworkInput,
  macInUse,
  networkNotFound,
  noMoreAddresses,
  portNotFound,
  securityGroupNotFound,
} from '../../model/errors-network.ts';
import { eui64, formatIp, hostRange, inCidr, parseCidr, parseIp } from '../../model/ip-address.ts';
import { defaultGroup, type GroupContext } from './default-group.ts';
import { FLOATING_IP, unlinkPort } from './floating-links.ts';
import { type SubnetRow, selfAddressed } from './subnets.ts';

export type PortRow = Selectable<NetPortsTable>;
export interface FixedIp {
  readonly subnet_id: string;
  readonly ip_address: string;
}
export interface FixedIpWish {
  readonly subnet_id?: string;
  readonly ip_address?: string;
}
/** What a new port shall be; undefined: chosen here. */
export interface PortWish {
  readonly projectId: string;
  readonly networkUuid: string;
  readonly name: string;
  readonly description: string;
  readonly adminStateUp: boolean;
  readonly mac: string | undefined;
  readonly fixedIps: readonly FixedIpWish[] | undefined;
  readonly deviceId: string;
  readonly deviceOwner: string;
  readonly host: string;
  readonly vnicType: string;
  readonly profile: Readonly<Record<string, unknown>>;
  readonly securityGroups: readonly string[] | undefined;
  /** Groups of other projects may be used too. */
  readonly anyGroup: boolean;
  readonly addressPairs: readonly object[];
  readonly portSecurity: boolean;
  readonly tags: readonly string[];
  /** IP versions to choose addresses of; absent: all. */
  readonly families?: readonly number[];
}

/** ACTIVE once it is bound to a host and plugged into a device; a router's port needs no host, a floating address has no state at all. */
export const portStatus = (port: { host: string; device_id: string; device_owner: string; admin_state_up: number }) => {
  if (port.device_owner === FLOATING_IP) return 'N/A';
  const placed = port.host !== '' || isNetworkDevice(port.device_owner);
  return placed && port.device_id !== '' && port.admin_state_up === 1 ? 'ACTIVE' : 'DOWN';
};

/** The wish for a port of the network's own: no project's, without filtering. */
export const servicePort = (
  what: Pick<PortWish, 'networkUuid' | 'deviceId' | 'deviceOwner'> & { readonly fixedIps: readonly FixedIpWish[] | undefined },
): PortWish => ({
  ...what,
  projectId: '',
  name: '',
  description: '',
  adminStateUp: true,
  mac: undefined,
  host: '',
  vnicType: 'normal',
  profile: {},
  securityGroups: undefined,
  anyGroup: false,
  addressPairs: [],
  portSecurity: false,
  tags: [],
});

const OWN_MACS = 'fa:16:3e';
export const newMac = (): string => `${OWN_MACS}:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
const isNetworkDevice = (owner: string) => owner.startsWith('network:');

/** Makes one port in the given transaction: quota, network, groups, addresses, row; in this order everywhere, so that two of them rarely cross.
 *  Throws overQuota, networkNotFound, securityGroupNotFound, noMoreAddresses, addressTaken, macInUse ... */
export async function insertPort(tx: Query, context: GroupContext, wish: PortWish): Promise<PortRow> {
  const uuid = newUuid();
  if (wish.projectId !== '') await takeQuota(tx, context.kind, context.quotas, wish.projectId, 'port', 1);
  await countPorts(tx, wish.networkUuid, 1);
  const groups = await chooseGroups(tx, context, wish);
  await useGroups(tx, groups, 1);
  const subnets = await subnetsOf(tx, wish.networkUuid);
  const mac = wish.mac ?? newMac();
  const fixedIps = await giveAddresses(
    tx,
    context,
    { uuid, mac, networkUuid: wish.networkUuid, deviceOwner: wish.deviceOwner },
    wish.families ? subnets.filter((subnet) => wish.families?.includes(subnet.ip_version)) : subnets,
    wish.fixedIps,
  );
  const bare = {
    host: wish.host,
    device_id: wish.deviceId,
    device_owner: wish.deviceOwner,
    admin_state_up: wish.adminStateUp ? 1 : 0,
  };
  const row = {
    uuid,
    project_id: wish.projectId,
    name: wish.name,
    description: wish.description,
    tags: JSON.stringify(wish.tags),
    revision: 1,
    created_at: context.now,
    updated_at: context.now,
    network_uuid: wish.networkUuid,
    mac,
    ...bare,
    status: portStatus(bare),
    vnic_type: wish.vnicType,
    profile: JSON.stringify(wish.profile),
    fixed_ips: JSON.stringify(fixedIps),
    security_groups: JSON.stringify(groups),
    address_pairs: JSON.stringify(wish.addressPairs),
    port_security: wish.portSecurity ? 1 : 0,
  };
  if (await insertIgnore(tx, context.kind, 'net_ports', row)) return { id: 0, ...row };
  if (wish.mac !== undefined) throw macInUse({ network: wish.networkUuid, mac });
  for (let attempt = 0; attempt < 16; attempt++) {
    const other = { ...row, mac: newMac() };
    if (await insertIgnore(tx, context.kind, 'net_ports', other)) return { id: 0, ...other };
  }
  throw networkNotFoundMac(wish.networkUuid);
}
const networkNotFoundMac = (network: string) =>
  badNetworkInput({ why: `Unable to generate unique mac on network ${network}.`, type: 'MacAddressGenerationFailure' });

const countOne = prepared((db, p: { networkUuid: string; by: number }) =>
  db
    .updateTable('net_networks')
    .set((eb) => ({ ports: eb('ports', '+', p.by) }))
    .where('uuid', '=', p.networkUuid),
);

/** Counts ports on the network's row. Throws networkNotFound when it is gone. */
async function countPorts(tx: Query, networkUuid: string, by: 1 | -1): Promise<void> {
  if (!met(await countOne(tx, { networkUuid, by }))) throw networkNotFound({ id: networkUuid });
}

/** Groups asked for, or the project's default one where ports are filtered. */
async function chooseGroups(tx: Query, context: GroupContext, wish: PortWish): Promise<readonly string[]> {
  const asked = wish.securityGroups;
  if (!wish.portSecurity) {
    if (asked && asked.length > 0)
      throw badNetworkInput({
        why: 'Port security must be enabled and port must have an IP address in order to use security groups.',
        type: 'PortSecurityAndIPRequiredForSecurityGroups',
      });
    return [];
  }
  if (asked === undefined) return isNetworkDevice(wish.deviceOwner) ? [] : [await defaultGroup(tx, context, wish.projectId)];
  return checkGroups(tx, asked, wish.anyGroup ? undefined : wish.projectId);
}

/** The groups, in order and once each. Throws securityGroupNotFound for one that is not there or another project's. */
export async function checkGroups(tx: Query, asked: readonly string[], projectId: string | undefined): Promise<readonly string[]> {
  const groups = [...new Set(asked)];
  if (groups.length === 0) return groups;
  const found = await tx.selectFrom('net_security_groups').select(['uuid', 'project_id']).where('uuid', 'in', groups).execute();
  const known = new Set(found.filter((row) => projectId === undefined || row.project_id === projectId).map((row) => row.uuid));
  const missing = groups.find((id) => !known.has(id));
  if (missing !== undefined) throw securityGroupNotFound({ id: missing });
  return groups;
}

const useOne = prepared((db, p: { group: string; by: number }) =>
  db
    .updateTable('net_security_groups')
    .set((eb) => ({ uses: eb('uses', '+', p.by) }))
    .where('uuid', '=', p.group),
);

/** Counts a port on each of its groups. Throws securityGroupNotFound when one vanished meanwhile. */
export async function useGroups(tx: Query, groups: readonly string[], by: 1 | -1): Promise<void> {
  for (const group of [...groups].sort()) {
    const there = met(await useOne(tx, { group, by }));
    if (by === 1 && !there) throw securityGroupNotFound({ id: group });
  }
}

const subnetsIn = prepared((db, p: { networkUuid: string }) =>
  db.selectFrom('net_subnets').selectAll().where('network_uuid', '=', p.networkUuid).orderBy('id'),
);
export const subnetsOf = async (tx: Query, networkUuid: string): Promise<SubnetRow[]> => (await subnetsIn(tx, { networkUuid })).rows;

interface Taker {
  readonly uuid: string;
  readonly mac: string;
  readonly networkUuid: string;
  readonly deviceOwner: string;
}

/** The port's addresses: those asked for, else one of each IP version the network has. */
export async function giveAddresses(
  tx: Query,
  context: GroupContext,
  port: Taker,
  subnets: readonly SubnetRow[],
  asked: readonly FixedIpWish[] | undefined,
): Promise<FixedIp[]> {
  if (asked) {
    const got: FixedIp[] = [];
    for (const wish of asked) got.push(await giveAsked(tx, context, port, subnets, wish));
    return got;
  }
  const usable = subnets.filter((subnet) => {
    const types = JSON.parse(subnet.service_types) as string[];
    return types.length === 0 || types.some((type) => port.deviceOwner.startsWith(type));
  });
  const got: FixedIp[] = [];
  for (const version of [4, 6]) {
    const family = usable.filter((subnet) => subnet.ip_version === version && !selfAddressed(subnet));
    if (family.length === 0) continue;
    const fixed = await firstFree(tx, context, port, family);
    if (!fixed) throw noMoreAddresses({ network: port.networkUuid });
    got.push(fixed);
  }
  if (!isNetworkDevice(port.deviceOwner))
    for (const subnet of usable.filter(selfAddressed)) got.push(await giveAsked(tx, context, port, subnets, { subnet_id: subnet.uuid }));
  if (got.length === 0 && subnets.length > 0 && usable.length === 0) throw noMoreAddresses({ network: port.networkUuid });
  return got;
}

async function firstFree(tx: Query, context: GroupContext, port: Taker, family: readonly SubnetRow[]): Promise<FixedIp | undefined> {
  for (const subnet of family) {
    const address = await allocateAddress(tx, context.kind, subnet.uuid, port.uuid);
    if (address !== undefined) return { subnet_id: subnet.uuid, ip_address: address };
  }
  return undefined;
}

async function giveAsked(
  tx: Query,
  context: GroupContext,
  port: Taker,
  subnets: readonly SubnetRow[],
  wish: FixedIpWish,
): Promise<FixedIp> {
  const named = wish.subnet_id === undefined ? undefined : subnets.find((subnet) => subnet.uuid === wish.subnet_id);
  if (wish.subnet_id !== undefined && !named)
    throw badNetworkInput({
      why: `Invalid input for operation: Failed to create port on network ${port.networkUuid}, because fixed_ips included invalid subnet ${wish.subnet_id}.`,
    });
  if (wish.ip_address === undefined) {
    if (!named) throw badNetworkInput({ why: 'IP allocation requires subnet_id or ip_address.' });
    const cidr = parseCidr(named.cidr);
    if (selfAddressed(named) && cidr) return takeGiven(tx, context, port, named, formatIp(6, eui64(cidr, port.mac)));
    const fixed = await firstFree(tx, context, port, [named]);
    if (!fixed) throw noMoreAddresses({ network: port.networkUuid });
    return fixed;
  }
  const ip = parseIp(wish.ip_address);
  const within = (subnet: SubnetRow) => {
    const cidr = parseCidr(subnet.cidr);
    if (!cidr || !ip || !inCidr(cidr, ip)) return false;
    const { first, last } = hostRange(cidr);
    return ip.value >= first && ip.value <= last;
  };
  if (named && !within(named)) throw addressNotInSubnet({ address: wish.ip_address, subnet: named.uuid });
  const subnet = named ?? subnets.find(within);
  if (!subnet) throw addressNotInNetwork({ address: wish.ip_address });
  return takeGiven(tx, context, port, subnet, wish.ip_address);
}

async function takeGiven(tx: Query, context: GroupContext, port: Taker, subnet: SubnetRow, address: string): Promise<FixedIp> {
  const isGateway = address === subnet.gateway_ip;
  if (takenBySubnet(subnet).includes(address) && !(isGateway && isNetworkDevice(port.deviceOwner)))
    throw addressReserved({
      address,
      subnet: subnet.uuid,
      why: isGateway ? 'it is the gateway of the subnet' : "it is the subnet's router or name server",
    });
  if (!(await takeAddress(tx, context.kind, subnet.uuid, address, port.uuid))) throw noMoreAddresses({ network: port.networkUuid });
  return { subnet_id: subnet.uuid, ip_address: address };
}

/** The list given is the whole list: what it names and the port has is kept, the rest is given back, new ones are taken. */
export async function changeAddresses(tx: Query, context: GroupContext, port: PortRow, asked: readonly FixedIpWish[]): Promise<FixedIp[]> {
  const free = [...(JSON.parse(port.fixed_ips) as FixedIp[])];
  const claim = (fits: (fixed: FixedIp) => boolean) => {
    const at = free.findIndex(fits);
    return at < 0 ? undefined : free.splice(at, 1)[0];
  };
  const kept = asked.map((wish) =>
    wish.ip_address === undefined
      ? undefined
      : claim((fixed) => fixed.ip_address === wish.ip_address && (wish.subnet_id === undefined || wish.subnet_id === fixed.subnet_id)),
  );
  const settled = asked.map(
    (wish, at) => kept[at] ?? (wish.ip_address === undefined ? claim((fixed) => fixed.subnet_id === wish.subnet_id) : undefined),
  );
  if (free.length > 0) {
    await releaseAddresses(tx, port.uuid, free);
    await unlinkPort(
      tx,
      port.uuid,
      context.now,
      settled.flatMap((fixed) => (fixed ? [fixed.ip_address] : [])),
    );
  }
  const missing = asked.filter((_wish, at) => settled[at] === undefined);
  const taker = { uuid: port.uuid, mac: port.mac, networkUuid: port.network_uuid, deviceOwner: port.device_owner };
  const added = missing.length > 0 ? await giveAddresses(tx, context, taker, await subnetsOf(tx, port.network_uuid), missing) : [];
  return [...settled.filter((fixed) => fixed !== undefined), ...added];
}

/** Deletes one port and gives back what it held. Throws portNotFound when it is gone already. */
export async function removePort(tx: Query, row: PortRow): Promise<void> {
  await giveQuota(tx, row.project_id, 'port', 1);
  await countPorts(tx, row.network_uuid, -1);
  const locked = await lockPort(tx, row.uuid, row.updated_at);
  if (!locked) throw portNotFound({ id: row.uuid });
  await useGroups(tx, JSON.parse(locked.security_groups) as string[], -1);
  await unlinkPort(tx, row.uuid, row.updated_at);
  await releaseAddresses(tx, row.uuid);
  await tx.deleteFrom('net_ports').where('uuid', '=', row.uuid).execute();
}

/** Locks the port's row for the rest of the transaction, with its revision raised, and reads it. */
export async function lockPort(tx: Query, uuid: string, now: number): Promise<PortRow | undefined> {
  const done = await sql`update net_ports set revision = revision + 1, updated_at = ${now} where uuid = ${uuid}`.execute(tx);
  if ((done.numAffectedRows ?? 0n) === 0n) return undefined;
  return tx.selectFrom('net_ports').selectAll().where('uuid', '=', uuid).executeTakeFirst();
}
