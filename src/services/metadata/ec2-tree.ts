import type { Server } from '../../model/server.ts';
import { fullHostname, type Leaf, type RenderOptions, userDataOf } from './openstack-tree.ts';

/** Versions of the EC2 tree, oldest first.  Spec: compute user guide, "EC2-compatible metadata". */
export const EC2_VERSIONS: readonly string[] = [
  '1.0',
  '2007-01-19',
  '2007-03-01',
  '2007-08-29',
  '2007-10-10',
  '2007-12-15',
  '2008-02-01',
  '2008-09-01',
  '2009-04-04',
];

/** A value, or a folder of them. */
export type Ec2Node = string | { readonly [name: string]: Ec2Node };

/** Part of the contract: images have no manifest, and the path of it that Nova has always told guests is this word. */
const NO_MANIFEST_PATH = 'FIXME';

const hex8 = (id: number) => id.toString(16).padStart(8, '0');
/** EC2 ids of images are derived from their uuid: no table of them is kept. */
const imageWord = (prefix: 'ami' | 'aki' | 'ari', uuid: string) => `${prefix}-${uuid.replaceAll('-', '').slice(0, 8).padStart(8, '0')}`;

/** The `meta-data` folder at one version. */
export function ec2MetaData(server: Server, version: string, options: RenderOptions): { readonly [name: string]: Ec2Node } {
  const order = (known: string) => EC2_VERSIONS.indexOf(known);
  const from = (date: string) => version === 'latest' || order(version) >= order(date);
  const addresses = server.networkInfo.flatMap((port) => port.addresses).filter((one) => one.version === 4);
  const fixed = addresses.find((one) => one.type === 'fixed')?.address ?? '';
  const floating = addresses.find((one) => one.type === 'floating')?.address ?? '';
  const hostname = fullHostname(server, options);
  const root = server.rootDeviceName ?? '/dev/vda';
  const { kernel_id: kernel, ramdisk_id: ramdisk } = server.image?.properties ?? {};
  return {
    'ami-id': imageWord('ami', server.imageId ?? ''),
    'ami-launch-index': String(server.launchIndex),
    'ami-manifest-path': NO_MANIFEST_PATH,
    'instance-id': `i-${hex8(server.id)}`,
    hostname,
    'local-ipv4': fixed,
    'reservation-id': server.reservationId,
    'security-groups': server.securityGroups.join('\n'),
    ...(server.keyName !== null && server.keyData !== null
      ? { 'public-keys': { [`0=${server.keyName}`]: { 'openssh-key': server.keyData } } }
      : {}),
    ...(from('2007-01-19') ? { 'local-hostname': hostname, 'public-hostname': hostname, 'public-ipv4': floating } : {}),
    ...(from('2007-08-29') ? { 'instance-type': server.flavor.name } : {}),
    ...(from('2007-12-15')
      ? {
          'block-device-mapping': { ami: root.replace(/^\/dev\//, ''), root },
          ...(kernel ? { 'kernel-id': imageWord('aki', kernel) } : {}),
          ...(ramdisk ? { 'ramdisk-id': imageWord('ari', ramdisk) } : {}),
        }
      : {}),
    ...(from('2008-02-01') ? { placement: { 'availability-zone': server.availabilityZone ?? 'nova' } } : {}),
    ...(from('2008-09-01') ? { 'instance-action': 'none' } : {}),
  };
}

const text = (body: string): Leaf => ({ type: 'text', body });
const listing = (node: { readonly [name: string]: Ec2Node }): Leaf =>
  text(
    Object.entries(node)
      // A key is listed as "0=name" and asked for as "0".
      .map(([name, child]) => (typeof child === 'string' || name.includes('=') ? name : `${name}/`))
      .sort()
      .join('\n'),
  );

/** Answers `/` and `/{version}/...` of the EC2 tree. Undefined: 404. */
export function ec2Leaf(server: Server, words: readonly string[], options: RenderOptions): Leaf | undefined {
  const [version, folder, ...rest] = words;
  if (version === undefined) return text([...EC2_VERSIONS, 'latest'].join('\n'));
  if (version !== 'latest' && !EC2_VERSIONS.includes(version)) return undefined;
  const userData = userDataOf(server);
  if (folder === undefined) return text(['meta-data/', ...(userData ? ['user-data'] : [])].join('\n'));
  if (folder === 'user-data' && rest.length === 0) return userData ? { type: 'bytes', body: userData } : undefined;
  if (folder !== 'meta-data') return undefined;
  let node: Ec2Node = ec2MetaData(server, version, options);
  for (const word of rest) {
    if (typeof node === 'string') return undefined;
    const name: string | undefined = Object.hasOwn(node, word)
      ? word
      : Object.keys(node).find((key) => key.split('=', 1)[0] === word && key.includes('='));
    const next: Ec2Node | undefined = name === undefined ? undefined : node[name];
    if (next === undefined) return undefined;
    node = next;
  }
  return typeof node === 'string' ? text(node) : listing(node);
}
