import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../lib/clock.ts';
import { CloudError } from '../model/errors.ts';
import { fixedIpInUse, noMoreFixedIps } from '../model/errors-interfaces.ts';
import {
  externalNetworkForbidden,
  networkNeedsSubnet,
  networksAmbiguous,
  noNetworkToAllocate,
  onePortForMany,
  portLimitExceeded,
  requestedAddressInvalid,
  requestedAddressTaken,
  requestedGroupAmbiguous,
  requestedGroupNotFound,
  requestedNetworkDuplicated,
  requestedNetworkNotFound,
  requestedPortInUse,
  requestedPortNotFound,
} from '../model/errors-network.ts';
import { inCidr, parseCidr, parseIp } from '../model/ip-address.ts';
import type { NetworkInfo, RequestedNetwork, RequestedNetworks } from '../model/server.ts';
import type { Neighbour } from './neighbour.ts';

export interface SecurityGroup {
  readonly id: string;
  readonly name: string;
  readonly description: string;
}
export interface AllocateRequest {
  readonly serverUuid: string;
  readonly projectId: string;
  /** Agent host the ports are bound to. */
  readonly host: string;
  readonly requested: RequestedNetworks;
  /** Names or ids; empty or ['default']: the project's default group. */
  readonly securityGroups: readonly string[];
  /** Availability zone, for `device_owner`. */
  readonly zone: string | null;
  readonly hostname: string;
}

/** What an asker may plug into beside the networks of the server's project and shared ones. */
export interface NetworkReach {
  readonly external: boolean;
  /** Networks of every project: the network service shows them to admins. Ports stay their project's. */
  readonly everyProject: boolean;
}
const OWN_REACH: NetworkReach = { external: false, everyProject: false };

/** What compute asks of the network service, ours or a real Neutron: nothing here is an extension of its API. */
export interface NetworkClient {
  /** Holds a wish against what is there, before a server is accepted, and answers it with networks filled in ('auto' becomes a network). `count`: how
   *  many servers; `reach`: what else the asker may plug into. Throws what Nova answers: 400 for networks, ports and addresses that are not there or
   *  taken, 403 over the port quota or for an external network, 409 for several possible networks or a port in use. */
  validate(projectId: string, requested: RequestedNetworks, count: number, reach?: NetworkReach): Promise<RequestedNetworks>;
  /** Makes (or takes up) a server's ports on a host. Repeating it, after a crash too, makes no second one: each port has a MAC that follows from server and
   *  position, and a network never has one MAC twice. A repeat with another host moves the ports there. */
  allocate(request: AllocateRequest): Promise<NetworkInfo[]>;
  /** Deletes the ports made for a server and unbinds those the user brought. Safe twice. */
  release(serverUuid: string): Promise<void>;
  /** Binds a server's ports to another host (null: to none), and answers them. Safe twice. */
  bind(serverUuid: string, host: string | null): Promise<NetworkInfo[]>;
  /** A server's ports with their fixed and floating addresses, as they are now. */
  portsOf(serverUuid: string): Promise<NetworkInfo[]>;
  /** Names of security groups, in their order by id and once each; ids that are gone are left out. */
  groupNames(ids: readonly string[]): Promise<string[]>;
  /** Makes one more port for a server, or takes up one the user brought. Safe to repeat with the same key. */
  attach(request: Omit<AllocateRequest, 'requested'>, wish: RequestedNetwork, place: PortPlace): Promise<NetworkInfo>;
  /** Deletes one port made for a server, or unbinds one the user brought. Safe twice. */
  detach(serverUuid: string, portId: string): Promise<void>;
  /** The service itself, asked with the token that is given, or as our service user. */
  readonly ask: Neighbour['ask'];
  securityGroups(projectId: string): Promise<SecurityGroup[]>;
}

/** Which of a server's ports one is: those of its build by their place, later ones by a key that no other port has. */
export interface PortPlace {
  /** For their order. */
  readonly index: number;
  readonly key?: string;
}

interface NetworkJson {
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  readonly shared: boolean;
  readonly mtu?: number;
  readonly subnets: readonly string[];
  readonly port_security_enabled?: boolean;
  readonly 'router:external'?: boolean;
}
interface SubnetJson {
  readonly id: string;
  readonly cidr: string;
  readonly ip_version: 4 | 6;
  readonly gateway_ip: string | null;
  readonly dns_nameservers: readonly string[];
}
interface PortJson {
  readonly id: string;
  readonly network_id: string;
  readonly project_id: string;
  readonly mac_address: string;
  readonly device_id: string;
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[];
  readonly security_groups?: readonly string[];
  readonly 'binding:host_id'?: string;
  readonly 'binding:profile'?: { readonly kilonova?: Mark } & Readonly<Record<string, unknown>>;
}
/** What we leave on a port, in an attribute only operators see: whose it is, which one of its ports, and whether the user brought it. */
interface Mark {
  readonly server: string;
  readonly index: number;
  readonly key?: string;
  readonly tag: string | null;
  readonly brought: boolean;
}
interface FloatingJson {
  readonly port_id: string | null;
  readonly fixed_ip_address: string | null;
  readonly floating_ip_address: string;
}
const floatingAddress = { version: 4, type: 'floating', gateway: null } as const;
interface Facts {
  readonly network: NetworkJson;
  readonly subnets: ReadonlyMap<string, SubnetJson>;
}

const CACHE_US = 1_000_000;
const MAC_TRIES = 5;
/** The MAC of a server's port; `salt` only when another port of the network has that one already. */
const macOf = (serverUuid: string, { index, key }: PortPlace, salt: number): string => {
  const hash = createHash('sha256')
    .update(`${serverUuid}/${key ?? index}/${salt}`)
    .digest();
  return `fa:16:3e:${[0, 1, 2].map((at) => (hash[at] ?? 0).toString(16).padStart(2, '0')).join(':')}`;
};
/** Whether a port was made for this place. */
const isAt = (mark: Mark | undefined, place: PortPlace) =>
  mark?.brought === false && (place.key === undefined ? mark.key === undefined && mark.index === place.index : mark.key === place.key);
const statusOf = (cause: unknown) => (cause instanceof CloudError ? cause.params.status : undefined);
const markOf = (port: PortJson): Mark | undefined => port['binding:profile']?.kilonova;
const wordsOf = (words: Record<string, string>) => new URLSearchParams(words).toString();

/** Remembers answers for a second, and asks only once for several who wait for the same. Failures are not remembered. */
function brieflyKept<T extends object>(clock: Clock, load: (key: string) => Promise<T>) {
  const kept = new LRUCache<string, { at: number; value: Promise<T> }>({ max: 2000 });
  return (key: string): Promise<T> => {
    const found = kept.get(key);
    if (found && clock.now() - found.at < CACHE_US) return found.value;
    const value = load(key);
    kept.set(key, { at: clock.now(), value });
    value.catch(() => kept.delete(key));
    return value;
  };
}

export function networkClient(neighbour: Neighbour, clock: Clock = systemClock): NetworkClient {
  const get = async <T>(path: string): Promise<T> => (await neighbour.ask<T>('GET', path)).body;
  const list = async <T>(noun: string, key: string, words: Record<string, string>): Promise<T[]> =>
    (await get<Record<string, T[]>>(`/v2.0/${noun}?${wordsOf(words)}`))[key] ?? [];

  const facts = brieflyKept<Facts>(clock, async (id) => {
    const [network, subnets] = await Promise.all([
      get<{ network: NetworkJson }>(`/v2.0/networks/${encodeURIComponent(id)}`),
      list<SubnetJson>('subnets', 'subnets', { network_id: id }),
    ]);
    return { network: network.network, subnets: new Map(subnets.map((subnet) => [subnet.id, subnet])) };
  });
  const groups = brieflyKept<SecurityGroup[]>(clock, (projectId) => list('security-groups', 'security_groups', { project_id: projectId }));
  const portRoom = brieflyKept<{ free: number }>(clock, async (projectId) => {
    const { quota } = await get<{ quota: { port: { limit: number; used: number } } }>(
      `/v2.0/quotas/${encodeURIComponent(projectId)}/details`,
    );
    return { free: quota.port.limit < 0 ? Number.POSITIVE_INFINITY : quota.port.limit - quota.port.used };
  });
  const choices = brieflyKept<NetworkJson[]>(clock, async (projectId) => {
    const [own, shared] = await Promise.all([
      list<NetworkJson>('networks', 'networks', { project_id: projectId }),
      list<NetworkJson>('networks', 'networks', { shared: 'True' }),
    ]);
    const inside = (all: NetworkJson[]) => all.filter((network) => !network['router:external']);
    return inside(own.filter((network) => !network.shared)).length > 0 ? inside(own.filter((network) => !network.shared)) : inside(shared);
  });

  /** Whose owner's word alone is no right to plug into it.  Spec: policy network:attach_external_network. */
  const isOutside = (network: NetworkJson) => network['router:external'] === true && !network.shared;
  /** A network a project may plug into. Throws the 400s and 403 of `validate`. */
  const usable = async (projectId: string, id: string, { external, everyProject }: NetworkReach): Promise<Facts> => {
    let found: Facts;
    try {
      found = await facts(id);
    } catch (cause) {
      if (statusOf(cause) === 404) throw requestedNetworkNotFound({ id }, { cause });
      throw cause;
    }
    const { network } = found;
    if (isOutside(network) && !external) throw externalNetworkForbidden({ id });
    const seen = everyProject || network.project_id === projectId || network.shared || network['router:external'];
    if (!seen) throw requestedNetworkNotFound({ id });
    if (network.subnets.length === 0) throw networkNeedsSubnet({ id });
    return found;
  };

  const findPort = async (id: string): Promise<PortJson> => {
    try {
      return (await get<{ port: PortJson }>(`/v2.0/ports/${encodeURIComponent(id)}`)).port;
    } catch (cause) {
      if (statusOf(cause) === 404) throw requestedPortNotFound({ id }, { cause });
      throw cause;
    }
  };

  const checkAddress = async (found: Facts, address: string): Promise<void> => {
    const ip = parseIp(address);
    const inside = [...found.subnets.values()].some((subnet) => {
      const cidr = parseCidr(subnet.cidr);
      return ip !== undefined && cidr !== undefined && inCidr(cidr, ip);
    });
    if (!inside) throw requestedAddressInvalid({ address });
    const holders = await list<PortJson>('ports', 'ports', { network_id: found.network.id, fixed_ips: `ip_address=${address}` });
    const holder = holders[0];
    if (holder) throw requestedAddressTaken({ address, server: holder.device_id ? ` on instance ${holder.device_id}` : '' });
  };

  const chooseNetwork = async (projectId: string): Promise<RequestedNetwork> => {
    const possible = await choices(projectId);
    const [first, second] = possible;
    if (!first) throw noNetworkToAllocate({ project: projectId });
    if (second) throw networksAmbiguous({});
    if (first.subnets.length === 0) throw networkNeedsSubnet({ id: first.id });
    return { networkId: first.id, portId: null, fixedIp: null, tag: null };
  };

  const checkOne = async (projectId: string, wish: RequestedNetwork, reach: NetworkReach): Promise<RequestedNetwork> => {
    if (wish.portId !== null) {
      const port = await findPort(wish.portId);
      if (port.project_id !== projectId) throw requestedPortNotFound({ id: wish.portId });
      if (port.device_id !== '') throw requestedPortInUse({ id: wish.portId });
      if (!reach.external && isOutside((await facts(port.network_id)).network)) throw externalNetworkForbidden({ id: port.network_id });
      return { ...wish, networkId: port.network_id };
    }
    if (wish.networkId === null) return { ...(await chooseNetwork(projectId)), fixedIp: wish.fixedIp, tag: wish.tag };
    const found = await usable(projectId, wish.networkId, reach);
    if (wish.fixedIp !== null) await checkAddress(found, wish.fixedIp);
    return wish;
  };

  const info = async (port: PortJson): Promise<NetworkInfo> => {
    const { network, subnets } = await facts(port.network_id);
    const mark = markOf(port);
    const own = port.fixed_ips.flatMap((fixed) => {
      const subnet = subnets.get(fixed.subnet_id);
      return subnet ? [{ fixed, subnet }] : [];
    });
    return {
      portId: port.id,
      networkId: port.network_id,
      networkName: network.name,
      mac: port.mac_address,
      mtu: network.mtu ?? 1500,
      addresses: own.map(({ fixed, subnet }) => ({
        address: fixed.ip_address,
        version: subnet.ip_version,
        type: 'fixed' as const,
        cidr: subnet.cidr,
        gateway: subnet.gateway_ip,
      })),
      nameServers: [...new Set(own.flatMap(({ subnet }) => subnet.dns_nameservers))],
      preserve: mark?.brought ?? false,
      securityGroups: port.security_groups ?? [],
      tag: mark?.tag ?? null,
    };
  };

  /** Ports that carry our mark for this server: a device_id alone anybody can write on a port of his own. */
  const marked = async (serverUuid: string): Promise<PortJson[]> => {
    const ports = await list<PortJson>('ports', 'ports', { device_id: serverUuid });
    return ports.filter((port) => markOf(port)?.server === serverUuid).sort((a, b) => (markOf(a)?.index ?? 0) - (markOf(b)?.index ?? 0));
  };

  const groupIds = async (projectId: string, wanted: readonly string[]): Promise<string[] | undefined> => {
    if (wanted.length === 0 || (wanted.length === 1 && wanted[0] === 'default')) return undefined;
    const all = await groups(projectId);
    return wanted.map((name) => {
      const byId = all.find((group) => group.id === name);
      const byName = all.filter((group) => group.name === name);
      if (!byId && byName.length > 1) throw requestedGroupAmbiguous({ name });
      const found = byId ?? byName[0];
      if (!found) throw requestedGroupNotFound({ name, project: projectId });
      return found.id;
    });
  };

  const update = async (id: string, port: object): Promise<PortJson> =>
    (await neighbour.ask<{ port: PortJson }>('PUT', `/v2.0/ports/${encodeURIComponent(id)}`, { body: { port } })).body.port;
  const ownerWord = (zone: string | null) => `compute:${zone ?? 'nova'}`;

  /** Takes up a port the user brought. */
  const bring = async (request: AllocateRequest, wish: RequestedNetwork, place: PortPlace): Promise<PortJson> => {
    const port = await findPort(wish.portId ?? '');
    if (port.device_id !== '' && port.device_id !== request.serverUuid) throw requestedPortInUse({ id: port.id });
    const mark: Mark = { server: request.serverUuid, ...place, tag: wish.tag, brought: true };
    return update(port.id, {
      device_id: request.serverUuid,
      device_owner: ownerWord(request.zone),
      'binding:host_id': request.host,
      'binding:profile': { ...port['binding:profile'], kilonova: mark },
    });
  };

  /** Makes one port: a single request, unless it was made before. */
  const make = async (request: AllocateRequest, wish: RequestedNetwork, place: PortPlace): Promise<PortJson> => {
    const mark: Mark = { server: request.serverUuid, ...place, tag: wish.tag, brought: false };
    const networkId = wish.networkId ?? '';
    const { network } = await facts(networkId);
    const security = network.port_security_enabled === false ? undefined : await groupIds(request.projectId, request.securityGroups);
    for (let salt = 0; ; salt++) {
      const port = {
        network_id: networkId,
        project_id: request.projectId,
        device_id: request.serverUuid,
        device_owner: ownerWord(request.zone),
        mac_address: macOf(request.serverUuid, place, salt),
        admin_state_up: true,
        'binding:host_id': request.host,
        'binding:profile': { kilonova: mark },
        ...(wish.fixedIp === null ? {} : { fixed_ips: [{ ip_address: wish.fixedIp }] }),
        ...(security ? { security_groups: security } : {}),
      };
      try {
        return (await neighbour.ask<{ port: PortJson }>('POST', '/v2.0/ports', { body: { port } })).body.port;
      } catch (cause) {
        if (statusOf(cause) !== 409) throw cause;
        // Was it made before, and we died before we knew? Then this is our own port in the way.
        const before = (await marked(request.serverUuid)).find((made) => isAt(markOf(made), place));
        if (before) return before['binding:host_id'] === request.host ? before : update(before.id, { 'binding:host_id': request.host });
        const macTaken = cause instanceof CloudError && /mac address .* in use/i.test(cause.message);
        if (!macTaken || salt + 1 >= MAC_TRIES) throw asNova(cause);
      }
    }
  };

  /** Adds floating addresses behind the fixed ones they lead to. A network service without any answers 404 to the question. */
  const withFloating = async (infos: readonly NetworkInfo[]): Promise<NetworkInfo[]> => {
    if (infos.length === 0) return [];
    const words = new URLSearchParams(infos.map((one): [string, string] => ['port_id', one.portId]));
    let found: FloatingJson[] = [];
    await ignoring404(async () => {
      found = (await get<{ floatingips: FloatingJson[] }>(`/v2.0/floatingips?${words}`)).floatingips;
    });
    return infos.map((one) => ({
      ...one,
      addresses: one.addresses.flatMap((fixed) => [
        fixed,
        ...found
          .filter((floating) => floating.port_id === one.portId && floating.fixed_ip_address === fixed.address)
          .map(({ floating_ip_address: address }) => ({ ...floatingAddress, address, cidr: `${address}/32` })),
      ]),
    }));
  };
  const letGo = async (port: PortJson): Promise<void> => {
    if (markOf(port)?.brought) {
      const { kilonova: _mark, ...profile } = port['binding:profile'] ?? {};
      await ignoring404(() => update(port.id, { device_id: '', device_owner: '', 'binding:host_id': '', 'binding:profile': profile }));
    } else await ignoring404(() => neighbour.ask('DELETE', `/v2.0/ports/${encodeURIComponent(port.id)}`));
  };

  return {
    ask: neighbour.ask,
    async validate(projectId, requested, count, reach = OWN_REACH) {
      if (requested === 'none') return 'none';
      const wishes = requested === 'auto' ? [{ networkId: null, portId: null, fixedIp: null, tag: null }] : requested;
      const brought = wishes.flatMap((wish) => (wish.portId === null ? [] : [wish.portId]));
      const twice = brought.find((id, at) => brought.indexOf(id) !== at);
      if (twice !== undefined) throw requestedNetworkDuplicated({ id: twice });
      if (count > 1 && wishes.some((wish) => wish.portId !== null || wish.fixedIp !== null)) throw onePortForMany({});
      const settled: RequestedNetwork[] = [];
      for (const wish of wishes) settled.push(await checkOne(projectId, wish, reach));
      const needed = count * settled.filter((wish) => wish.portId === null).length;
      if (needed > 0) {
        const room = await portRoom(projectId);
        if (room.free < needed) throw portLimitExceeded({});
        room.free -= needed; // until the next look: what was let through meanwhile is counted
      }
      return settled;
    },
    async allocate(request) {
      if (request.requested === 'none') return [];
      const wishes = request.requested === 'auto' ? [await chooseNetwork(request.projectId)] : request.requested;
      const ports: PortJson[] = [];
      for (const [index, wish] of wishes.entries()) {
        if (wish.portId !== null) ports.push(await bring(request, wish, { index }));
        else if (wish.networkId !== null) ports.push(await make(request, wish, { index }));
        else
          ports.push(await make(request, { ...(await chooseNetwork(request.projectId)), fixedIp: wish.fixedIp, tag: wish.tag }, { index }));
      }
      return Promise.all(ports.map(info));
    },
    async release(serverUuid) {
      for (const port of await marked(serverUuid)) await letGo(port);
    },
    async attach(request, wish, place) {
      const whole = { ...request, requested: [wish] };
      try {
        const port = wish.portId === null ? await make(whole, wish, place) : await bring(whole, wish, place);
        return (await withFloating([await info(port)]))[0] ?? info(port);
      } catch (cause) {
        throw asAttach(cause, wish);
      }
    },
    async detach(serverUuid, portId) {
      for (const port of await marked(serverUuid)) if (port.id === portId) await letGo(port);
    },
    async groupNames(ids) {
      const wanted = [...new Set(ids)].sort();
      if (wanted.length === 0) return [];
      const words = new URLSearchParams(wanted.map((id): [string, string] => ['id', id]));
      const found = (await get<{ security_groups: SecurityGroup[] }>(`/v2.0/security-groups?${words}`)).security_groups;
      return [...new Set(wanted.flatMap((id) => found.find((group) => group.id === id)?.name ?? []))];
    },
    async bind(serverUuid, host) {
      const to = host ?? '';
      const ports = await Promise.all(
        (await marked(serverUuid)).map((port) =>
          (port['binding:host_id'] ?? '') === to ? port : update(port.id, { 'binding:host_id': to }),
        ),
      );
      return Promise.all(ports.sort((a, b) => (markOf(a)?.index ?? 0) - (markOf(b)?.index ?? 0)).map(info));
    },
    async portsOf(serverUuid) {
      return withFloating(await Promise.all((await marked(serverUuid)).map(info)));
    },
    securityGroups: (projectId) => groups(projectId),
  };
}

async function ignoring404(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (statusOf(cause) !== 404) throw cause;
  }
}

/** The network service's refusals that compute has its own words for. */
function asNova(cause: unknown): unknown {
  if (cause instanceof CloudError && /^Quota exceeded/i.test(cause.message)) return portLimitExceeded({}, { cause });
  return cause;
}

/** The same for a port that joins a running server: there a taken address is a conflict. */
function asAttach(cause: unknown, wish: RequestedNetwork): unknown {
  if (!(cause instanceof CloudError)) return cause;
  if (/^No more IP addresses/i.test(cause.message)) return noMoreFixedIps({ network: wish.networkId ?? '' }, { cause });
  if (/already allocated|is in use/i.test(cause.message) && wish.fixedIp !== null)
    return fixedIpInUse({ address: wish.fixedIp }, { cause });
  return cause;
}
