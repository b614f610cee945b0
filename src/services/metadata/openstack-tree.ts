import { randomBytes } from 'node:crypto';
import { netmaskOf, parseCidr } from '../../model/ip-address.ts';
import type { NetworkInfo, Server } from '../../model/server.ts';

/** Versions of the OpenStack tree, oldest first: each shows what its date added.  Spec: compute user guide, "Metadata service". */
export const OPENSTACK_VERSIONS = [
  '2012-08-10',
  '2013-04-04',
  '2013-10-17',
  '2015-10-15',
  '2016-06-30',
  '2016-10-06',
  '2017-02-22',
  '2018-08-27',
  '2020-10-14',
] as const;
const since = {
  randomSeed: '2013-04-04',
  password: '2013-04-04',
  vendorData: '2013-10-17',
  projectId: '2015-10-15',
  networkData: '2015-10-15',
  devices: '2016-06-30',
  vendorData2: '2016-10-06',
  dedicatedCpus: '2020-10-14',
};

export interface RenderOptions {
  /** Domain behind host names without one; Nova's dhcp_domain. '' for none. */
  readonly domain?: string;
  /** What `vendor_data.json` and `vendor_data2.json` say. */
  readonly vendorData?: object;
  /** 'dhcp' (default): the guest asks for its IPv4 address; 'static': network_data.json tells it. */
  readonly addressing?: 'dhcp' | 'static';
}
export interface ConfigDriveExtras {
  readonly adminPass?: string | null;
  /** Injected files (`personality`), base64 by path. */
  readonly files?: readonly { readonly path: string; readonly contents: string }[];
}

/** The host name a guest is told. */
export const fullHostname = (server: Server, options: RenderOptions): string => {
  const domain = options.domain ?? 'novalocal';
  return domain === '' || server.hostname.includes('.') ? server.hostname : `${server.hostname}.${domain}`;
};

/** User data as the guest gets it; undefined when there is none. */
export const userDataOf = (server: Server): Buffer | undefined => (server.userData ? Buffer.from(server.userData, 'base64') : undefined);

const keyType = (data: string) => (data.startsWith('-----BEGIN CERTIFICATE') ? 'x509' : 'ssh');

/** `meta_data.json` at one version. */
export function metaData(server: Server, version: string, options: RenderOptions, extras: ConfigDriveExtras = {}): object {
  const from = (date: string) => version === 'latest' || version >= date;
  const tagged = server.networkInfo.filter((port) => port.tag !== null);
  return {
    uuid: server.uuid,
    ...(Object.keys(server.metadata).length > 0 ? { meta: server.metadata } : {}),
    ...(extras.files?.length ? { files: extras.files.map((file, at) => ({ content_path: contentPath(at), path: file.path })) } : {}),
    ...(server.keyName !== null && server.keyData !== null
      ? {
          public_keys: { [server.keyName]: server.keyData },
          keys: [{ name: server.keyName, type: keyType(server.keyData), data: server.keyData }],
        }
      : {}),
    hostname: fullHostname(server, options),
    name: server.name,
    launch_index: server.launchIndex,
    availability_zone: server.availabilityZone ?? 'nova',
    ...(extras.adminPass ? { admin_pass: extras.adminPass } : {}),
    ...(from(since.randomSeed) ? { random_seed: randomBytes(512).toString('base64') } : {}),
    ...(from(since.projectId) ? { project_id: server.projectId } : {}),
    ...(from(since.devices)
      ? { devices: tagged.map((port) => ({ type: 'nic', bus: 'none', address: 'none', mac: port.mac, tags: [port.tag] })) }
      : {}),
    ...(from(since.dedicatedCpus) ? { dedicated_cpus: [] } : {}),
  };
}
export const contentPath = (at: number) => `/content/${String(at).padStart(4, '0')}`;

/** `network_data.json`: links, the networks on them, name servers. */
export function networkData(server: Server, options: RenderOptions): object {
  const links = server.networkInfo.map((port) => ({
    id: linkId(port),
    vif_id: port.portId,
    type: 'phy',
    mtu: port.mtu,
    ethernet_mac_address: port.mac,
  }));
  const addresses = server.networkInfo.flatMap((port) =>
    port.addresses.filter((one) => one.type === 'fixed').map((address) => ({ port, address })),
  );
  const networks = addresses.map(({ port, address }, at) => {
    const head = { id: `network${at}`, link: linkId(port), network_id: port.networkId };
    if (address.version === 4 && options.addressing !== 'static') return { ...head, type: 'ipv4_dhcp' };
    const cidr = parseCidr(address.cidr);
    const any = address.version === 4 ? '0.0.0.0' : '::';
    const services = port.nameServers.map((server) => ({ type: 'dns', address: server }));
    return {
      ...head,
      type: address.version === 4 ? 'ipv4' : 'ipv6',
      ip_address: address.address,
      netmask: netmaskOf(address.version, cidr?.prefix ?? 0),
      routes: address.gateway === null ? [] : [{ network: any, netmask: any, gateway: address.gateway }],
      services,
    };
  });
  const servers = [...new Set(server.networkInfo.flatMap((port) => port.nameServers))];
  return { links, networks, services: servers.map((address) => ({ type: 'dns', address })) };
}
const linkId = (port: NetworkInfo) => `tap${port.portId.slice(0, 11)}`;

/** What one path of the tree answers. */
export type Leaf = { readonly type: 'json' | 'text' | 'bytes'; readonly body: string | Buffer };
const json = (value: object): Leaf => ({ type: 'json', body: JSON.stringify(value) });
const listing = (names: readonly string[]): Leaf => ({ type: 'text', body: names.join('\n') });

/** Whether a version of the tree is known and has a `password`. */
export const hasPassword = (version: string): boolean =>
  version === 'latest' || (OPENSTACK_VERSIONS.some((known) => known === version) && version >= since.password);

/** Every file under one version of the OpenStack tree, by name. Rendered only when read. */
export function openstackFiles(server: Server, version: string, options: RenderOptions): ReadonlyMap<string, () => Leaf> {
  const from = (date: string) => version === 'latest' || version >= date;
  const files = new Map<string, () => Leaf>([['meta_data.json', () => json(metaData(server, version, options))]]);
  const userData = userDataOf(server);
  if (userData) files.set('user_data', () => ({ type: 'bytes', body: userData }));
  // Its text is not the server's own: the service answers it by itself.
  if (from(since.password)) files.set('password', () => ({ type: 'text', body: '' }));
  if (from(since.vendorData)) files.set('vendor_data.json', () => json(options.vendorData ?? {}));
  if (from(since.networkData)) files.set('network_data.json', () => json(networkData(server, options)));
  if (from(since.vendorData2)) files.set('vendor_data2.json', () => json(options.vendorData ? { static: options.vendorData } : {}));
  return files;
}

/** Answers `/openstack/...`; the words are the path without its first. Undefined: 404. */
export function openstackLeaf(server: Server, words: readonly string[], options: RenderOptions): Leaf | undefined {
  const [version, name, rest] = words;
  if (version === undefined) return listing([...OPENSTACK_VERSIONS, 'latest']);
  if (version !== 'latest' && !OPENSTACK_VERSIONS.some((known) => known === version)) return undefined;
  const files = openstackFiles(server, version, options);
  if (name === undefined) return listing([...files.keys()]);
  return rest === undefined ? files.get(name)?.() : undefined;
}
