import { BlockList, isIP } from 'node:net';
import { type Ask, type Filter, no, ok } from '../filter.ts';
import type { HostView } from '../host-view.ts';
import { hintOf } from '../wish.ts';

/** Whether servers of a hint's list stand on the host; null: the hint names none. */
function overlaps(host: HostView, { wish }: Ask, hint: string): boolean | null {
  const value = hintOf(wish, hint);
  const uuids = Array.isArray(value) ? value : [value];
  if (!value || uuids.length === 0) return null;
  return uuids.some((uuid) => typeof uuid === 'string' && host.instances.has(uuid));
}

/** Spec: Nova's SameHostFilter, hint same_host. */
export const SameHostFilter: Filter = {
  name: 'SameHostFilter',
  oncePerRequest: true,
  judge: (host, ask) => (overlaps(host, ask, 'same_host') === false ? no('none of the servers named by same_host stands there') : ok),
};
/** Spec: Nova's DifferentHostFilter, hint different_host. */
export const DifferentHostFilter: Filter = {
  name: 'DifferentHostFilter',
  oncePerRequest: true,
  judge: (host, ask) => (overlaps(host, ask, 'different_host') === true ? no('a server named by different_host stands there') : ok),
};

/** Hosts in one network with an address.  Spec: Nova's SimpleCIDRAffinityFilter, hints build_near_host_ip and cidr. */
export const SimpleCIDRAffinityFilter: Filter = {
  name: 'SimpleCIDRAffinityFilter',
  oncePerRequest: true,
  judge(host, { wish }) {
    const [near, cidr = '/24'] = [hintOf(wish, 'build_near_host_ip'), hintOf(wish, 'cidr')];
    if (!near || (Array.isArray(near) && near.length === 0)) return ok;
    if (typeof near !== 'string' || typeof cidr !== 'string') throw new Error('build_near_host_ip and cidr must be texts');
    const [address = '', length, ...more] = `${near}${cidr}`.split('/');
    const version = isIP(address);
    const bits = prefixOf(length, version);
    if (version === 0 || more.length > 0 || bits === null) throw new Error(`${near}${cidr} is no network`);
    const own = isIP(host.hostIp ?? '');
    if (own === 0) throw new Error('the host has no address');
    if (own !== version) return no('it is in another network');
    const network = new BlockList();
    network.addSubnet(address, bits, version === 4 ? 'ipv4' : 'ipv6');
    return network.check(host.hostIp ?? '', own === 4 ? 'ipv4' : 'ipv6') ? ok : no('it is in another network');
  },
};

/** Length of a network's prefix: a number, a mask, or all bits when none is given. */
function prefixOf(text: string | undefined, version: number): number | null {
  const all = version === 4 ? 32 : 128;
  if (text === undefined) return all;
  if (/^\d+$/.test(text)) return Number(text) <= all ? Number(text) : null;
  if (version !== 4 || isIP(text) !== 4) return null;
  const bits = text
    .split('.')
    .map((byte) => Number(byte).toString(2).padStart(8, '0'))
    .join('');
  if (/^1*0*$/.test(bits)) return bits.indexOf('0') < 0 ? 32 : bits.indexOf('0');
  return /^0*1*$/.test(bits) ? bits.indexOf('1') : null;
}
