import { computeRoutes } from '../../src/services/compute-api/app.ts';
import { identityRoutes } from '../../src/services/identity/routes.ts';
import { routes as imageRoutes } from '../../src/services/image/routes.ts';
import { networkRoutes } from '../../src/services/network/routes.ts';
import { serverFields } from '../support/server-fields.ts';

/** A request as a good client sends it (of compute: at microversion 2.96), with `{noun}` where an id stands. */
export interface Skeleton {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly type?: string;
}

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8xKXq3Tn0oD0vQYjq5rH0m8mB1jS4kqH1cKJmYvU2X someone@somewhere';
const id = '11111111-2222-4333-8444-555555555555';
const hex = '0123456789abcdef0123456789abcdef';
const userNamed = { name: 'demo', domain: { name: 'Default' } };
const server = {
  ...serverFields,
  networks: [{ uuid: '{network}' }],
  key_name: 'k',
};
const device = { boot_index: 0, uuid: '{image}', source_type: 'image', destination_type: 'local', delete_on_termination: true };
const image = { name: 'n', disk_format: 'raw', container_format: 'bare', visibility: 'private', min_ram: 0, min_disk: 0, tags: ['t'] };
const port = {
  network_id: '{network}',
  name: 'p',
  admin_state_up: true,
  fixed_ips: [{ subnet_id: '{subnet}' }],
  security_groups: ['{group}'],
  allowed_address_pairs: [{ ip_address: '10.0.0.1', mac_address: 'fa:16:3e:00:11:23' }],
  device_id: 'd',
  device_owner: 'compute:nova',
  port_security_enabled: true,
};
const subnet = {
  network_id: '{network}',
  cidr: '10.{byte}.{byte}.0/24',
  ip_version: 4,
  gateway_ip: null,
  dns_nameservers: ['172.25.0.2'],
  host_routes: [{ destination: '10.0.0.0/8', nexthop: '10.0.0.1' }],
  enable_dhcp: true,
  name: 's',
};
const rule = {
  security_group_id: '{group}',
  direction: 'ingress',
  ethertype: 'IPv4',
  protocol: 'tcp',
  port_range_min: 1,
  port_range_max: 65_535,
  remote_ip_prefix: '10.{byte}.{byte}.0/24',
  description: 'r',
};
const patch = 'application/openstack-images-v2.1-json-patch';

/** Bodies that are read far into the handlers. */
export const skeletons: readonly Skeleton[] = [
  { method: 'POST', path: '/v2.1/servers', body: { server } },
  {
    method: 'POST',
    path: '/v2.1/servers',
    body: { server, 'os:scheduler_hints': { group: id, same_host: [id], query: '["=","$x",1]' } },
  },
  {
    method: 'POST',
    path: '/v2.1/servers',
    body: { server: { name: 'n', flavorRef: '{flavor}', imageRef: '{image}', networks: 'auto' } },
  },
  { method: 'POST', path: '/v2.1/servers', body: { server: { ...server, block_device_mapping_v2: [device] } } },
  {
    method: 'POST',
    path: '/v2/servers',
    body: { server: { name: 'n', flavorRef: 1, imageRef: '{image}', personality: [{ path: '/etc/x', contents: 'aGVsbG8=' }] } },
  },
  {
    method: 'POST',
    path: '/v2.1/servers',
    body: { server: { ...server, networks: [{ port: '{port}', tag: 'x' }], hostname: 'x' } },
  },
  {
    method: 'PUT',
    path: '/v2.1/servers/{server}',
    body: { server: { name: 'm', description: 'd', accessIPv4: '1.1.1.1', hostname: 'h' } },
  },
  { method: 'POST', path: '/v2.1/servers/{server}/action', body: { reboot: { type: 'SOFT' } } },
  { method: 'POST', path: '/v2.1/servers/{server}/action', body: { 'os-getConsoleOutput': { length: 10 } } },
  { method: 'POST', path: '/v2.1/servers/{server}/action', body: { 'os-stop': null } },
  { method: 'POST', path: '/v2.1/servers/{server}/action', body: { 'os-start': null } },
  { method: 'POST', path: '/v2.1/servers/{server}/metadata', body: { metadata: { a: 'b', c: 'd' } } },
  { method: 'PUT', path: '/v2.1/servers/{server}/metadata', body: { metadata: { a: 'b' } } },
  { method: 'PUT', path: '/v2.1/servers/{server}/metadata/a', body: { meta: { a: 'b' } } },
  { method: 'PUT', path: '/v2.1/servers/{server}/tags', body: { tags: ['a', 'b'] } },
  { method: 'POST', path: '/v2.1/servers/{server}/remote-consoles', body: { remote_console: { protocol: 'vnc', type: 'novnc' } } },
  {
    method: 'POST',
    path: '/v2.1/os-keypairs',
    body: { keypair: { name: '{new}', public_key: key, type: 'ssh', user_id: '{user}' } },
  },
  { method: 'POST', path: '/v2.1/os-keypairs', body: { keypair: { name: '{new}', public_key: key, type: 'ssh' } } },
  {
    method: 'POST',
    path: '/v2.1/flavors',
    body: { flavor: { name: '{new}', ram: 64, vcpus: 1, disk: 1, id: 'auto', swap: 0, rxtx_factor: 1, 'OS-FLV-EXT-DATA:ephemeral': 0 } },
  },
  { method: 'PUT', path: '/v2.1/flavors/{flavor}', body: { flavor: { description: 'd' } } },
  {
    method: 'POST',
    path: '/v2.1/flavors/{flavor}/os-extra_specs',
    body: { extra_specs: { 'hw:cpu_policy': 'shared', 'quota:cpu_shares': '1' } },
  },
  { method: 'PUT', path: '/v2.1/flavors/{flavor}/os-extra_specs/quota:cpu_shares', body: { 'quota:cpu_shares': '2' } },
  { method: 'POST', path: '/v2.1/flavors/{flavor}/action', body: { addTenantAccess: { tenant: hex } } },
  { method: 'PUT', path: '/v2.1/os-quota-sets/{project}', body: { quota_set: { instances: -1, cores: -1, ram: -1, force: true } } },
  { method: 'PUT', path: `/v2.1/os-services/${id}`, body: { status: 'disabled', disabled_reason: 'x', forced_down: true } },
  {
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    body: {
      auth: {
        identity: { methods: ['password'], password: { user: { ...userNamed, password: '{password}' } } },
        scope: { project: userNamed },
      },
    },
  },
  {
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    body: { auth: { identity: { methods: ['token'], token: { id: '{token}' } }, scope: { project: { id: '{project}' } } } },
  },
  {
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    body: {
      auth: { identity: { methods: ['application_credential'], application_credential: { id: hex, secret: 's', user: userNamed } } },
    },
  },
  {
    method: 'POST',
    path: '/identity/v3/users',
    body: { user: { name: '{new}', password: 'p', email: 'e', enabled: true, domain_id: 'default' } },
  },
  { method: 'PATCH', path: `/identity/v3/users/${hex}`, body: { user: { name: 'v', enabled: false, options: { lock_password: true } } } },
  { method: 'POST', path: '/identity/v3/users/{user}/password', body: { user: { password: 'x', original_password: 'y' } } },
  {
    method: 'POST',
    path: '/identity/v3/projects',
    body: { project: { name: '{new}', domain_id: 'default', parent_id: 'default', tags: ['t'] } },
  },
  { method: 'PUT', path: '/identity/v3/projects/{spare}/tags', body: { tags: ['a', 'b'] } },
  {
    method: 'PATCH',
    path: '/identity/v3/projects/{spare}',
    body: { project: { description: 'd', enabled: true, options: { immutable: null } } },
  },
  { method: 'POST', path: '/identity/v3/roles', body: { role: { name: '{new}', description: 'd', domain_id: null } } },
  { method: 'POST', path: '/identity/v3/groups', body: { group: { name: '{new}', domain_id: 'default' } } },
  { method: 'POST', path: '/identity/v3/domains', body: { domain: { name: '{new}', enabled: true } } },
  { method: 'POST', path: '/identity/v3/services', body: { service: { type: 't', name: 'n', enabled: true } } },
  { method: 'POST', path: '/identity/v3/regions', body: { region: { id: '{new}', parent_region_id: null, description: 'd' } } },
  { method: 'POST', path: '/identity/v3/endpoints', body: { endpoint: { service_id: hex, interface: 'public', url: 'http://x/%(y)s' } } },
  {
    method: 'POST',
    path: '/identity/v3/users/{user}/application_credentials',
    body: {
      application_credential: {
        name: '{new}',
        secret: 's',
        expires_at: '2030-01-01T00:00:00',
        roles: [{ name: 'member' }],
        unrestricted: false,
      },
    },
  },
  { method: 'POST', path: '/image/v2/images', body: image },
  { method: 'POST', path: '/image/v2/images', body: { ...image, hw_disk_bus: 'ide', protected: false, os_hidden: false, id: '{new}' } },
  {
    method: 'PATCH',
    path: '/image/v2/images/{queued}',
    type: patch,
    body: [
      { op: 'replace', path: '/name', value: 'm' },
      { op: 'add', path: '/x~1y', value: 'z' },
      { op: 'remove', path: '/x~1y' },
    ],
  },
  { method: 'PATCH', path: '/image/v2/images/{queued}', type: patch, body: [{ op: 'add', path: '/tags', value: ['t'] }] },
  {
    method: 'PATCH',
    path: '/image/v2/images/{queued}',
    type: patch,
    body: [{ op: 'add', path: '/locations/-', value: { url: 'file:///x' } }],
  },
  { method: 'POST', path: '/image/v2/images/{shared}/members', body: { member: hex } },
  { method: 'PUT', path: `/image/v2/images/{shared}/members/${hex}`, body: { status: 'accepted' } },
  { method: 'POST', path: '/image/v2/images/{queued}/import', body: { method: { name: 'glance-direct' } } },
  { method: 'PUT', path: '/image/v2/images/{queued}/file', type: 'application/octet-stream', body: { any: 'bytes' } },
  { method: 'POST', path: '/network/v2.0/networks', body: { network: { name: 'n', admin_state_up: true, mtu: 1400, dns_domain: 'x.y.' } } },
  { method: 'POST', path: '/network/v2.0/networks', body: { networks: [{ name: 'n' }, { name: 'm', shared: false }] } },
  { method: 'PUT', path: '/network/v2.0/networks/{network}', body: { network: { name: 'n', mtu: 1400 } } },
  { method: 'POST', path: '/network/v2.0/subnets', body: { subnet } },
  { method: 'PUT', path: '/network/v2.0/subnets/{subnet}', body: { subnet: { name: 's', gateway_ip: null, allocation_pools: [] } } },
  { method: 'POST', path: '/network/v2.0/ports', body: { port } },
  { method: 'POST', path: '/network/v2.0/ports', body: { ports: [{ network_id: '{network}' }, { network_id: '{network}' }] } },
  { method: 'PUT', path: '/network/v2.0/ports/{port}', body: { port: { ...port, network_id: undefined, mac_address: undefined } } },
  { method: 'POST', path: '/network/v2.0/security-groups', body: { security_group: { name: 'g', description: 'd', stateful: true } } },
  { method: 'POST', path: '/network/v2.0/security-group-rules', body: { security_group_rule: rule } },
  { method: 'POST', path: '/network/v2.0/security-group-rules', body: { security_group_rules: [{ ...rule, protocol: 'icmp' }, rule] } },
  { method: 'POST', path: '/network/v2.0/routers', body: { router: { name: 'r', external_gateway_info: { network_id: '{network}' } } } },
  { method: 'POST', path: '/network/v2.0/floatingips', body: { floatingip: { floating_network_id: '{network}', port_id: '{port}' } } },
  { method: 'PUT', path: '/network/v2.0/quotas/{spare}', body: { quota: { port: -1, network: 5 } } },
  { method: 'PUT', path: '/network/v2.0/ports/{port}/tags', body: { tags: ['a', 'b'] } },
];

/** Which noun the last words of a path speak of. */
const nouns: readonly (readonly [RegExp, string])[] = [
  [/\/servers\/:/, 'server'],
  [/\/flavors\/:/, 'flavor'],
  [/\/images\/:/, 'image'],
  [/\/networks\/:/, 'network'],
  [/\/subnets\/:/, 'subnet'],
  [/\/ports\/:/, 'port'],
  [/\/security-groups\/:/, 'group'],
  [/\/users\/:/, 'user'],
  [/\/(projects|quotas|os-quota-sets)\/:/, 'spare'],
];
/** Every route of every service, with an id of the right noun. Paths that end somebody's session or take the ground away are left out. */
export const everyRoute: readonly Skeleton[] = Object.entries({
  '/v2.1': computeRoutes,
  '/identity': identityRoutes,
  '/image': imageRoutes,
  '/network': networkRoutes,
}).flatMap(([mount, table]) =>
  Object.keys(table).flatMap((name) => {
    const [method = '', path = ''] = (name.split('#')[0] ?? '').split(' ');
    if (method === 'DELETE' && /\/(users|projects|domains|roles|tokens)\b/.test(path) && mount === '/identity') return [];
    if (path === '/servers/changes') return []; // a stream without an end: test/stories/server-changes.test.ts
    const noun = nouns.find(([form]) => form.test(path))?.[1] ?? 'odd';
    return [{ method, path: `${mount}${path === '/' ? '' : path}`.replace(/:\w+/, `{${noun}}`).replaceAll(/:\w+/g, '{odd}') }];
  }),
);
