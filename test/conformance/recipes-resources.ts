import { minor, type Recipe } from './recipe.ts';
import type { World } from './world.ts';

// Everything that is not a server.
const plain =
  (place: string): Recipe =>
  () => ({ place });
const uuidsFrom = 53;

async function flavor(world: World, more: object = {}): Promise<string> {
  const wish = { name: world.name(), ram: 512, vcpus: 1, disk: 1, ...more };
  const answer = await world.ask('POST /flavors', { at: '2.1', body: { flavor: wish } });
  return (answer.body as { flavor: { id: string } }).flavor.id;
}
async function aggregate(world: World, zone?: string): Promise<number> {
  const wish = { name: world.name(), ...(zone ? { availability_zone: zone } : {}) };
  const answer = await world.ask('POST /os-aggregates', { at: '2.1', body: { aggregate: wish } });
  return (answer.body as { aggregate: { id: number } }).aggregate.id;
}
const act = (world: World, id: number, body: object) => world.ask(`POST /os-aggregates/${id}/action`, { body });
async function keypair(world: World): Promise<string> {
  const name = world.name();
  await world.ask('POST /os-keypairs', { at: '2.1', body: { keypair: { name, public_key: KEY } } });
  return name;
}
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me';
async function group(world: World): Promise<string> {
  const answer = await world.ask('POST /os-server-groups', {
    at: '2.64',
    body: { server_group: { name: world.name(), policy: 'affinity' } },
  });
  return (answer.body as { server_group: { id: string } }).server_group.id;
}
async function hypervisor(world: World, version: string): Promise<{ id: string | number; name: string }> {
  const { body } = await world.ask('GET /os-hypervisors', { at: version });
  const [first] = (body as { hypervisors: { id: string | number; hypervisor_hostname: string }[] }).hypervisors;
  return { id: first?.id ?? '', name: first?.hypervisor_hostname ?? '' };
}
async function service(world: World): Promise<{ id: string; host: string }> {
  const { body } = await world.ask('GET /os-services?binary=nova-compute');
  const found = (body as { services: { id: string; host: string }[] }).services.find((one) => one.host === world.hosts.at(-1));
  return found ?? { id: '', host: '' };
}
/** The last host is the one that tests may switch off. */
const host = (world: World) => world.hosts.at(-1) ?? '';
const heal = (world: World) => async () => {
  const { id } = await service(world);
  await world.ask(`PUT /os-services/${id}`, { body: { status: 'enabled', forced_down: false } });
};
const imageOf = async (world: World): Promise<string> => {
  const made = (await world.other('POST /image/v2/images', {
    name: world.name(),
    disk_format: 'raw',
    container_format: 'bare',
    auto_disk_config: 'true',
    Label: 'old',
  })) as { id: string };
  return made.id;
};
const securityGroup = async (world: World): Promise<string> => {
  const { body } = await world.ask('POST /os-security-groups', {
    at: '2.1',
    body: { security_group: { name: world.name(), description: 'd' } },
  });
  return (body as { security_group: { id: string } }).security_group.id;
};
const floatingIp = async (world: World): Promise<string> => {
  const made = (await world.other('POST /network/v2.0/floatingips', { floatingip: { floating_network_id: world.external } })) as {
    floatingip: { id: string };
  };
  return made.floatingip.id;
};
const volumeSnapshot = async (world: World): Promise<string> => {
  const volume_id = await world.volume();
  const { body } = await world.ask('POST /os-snapshots', { at: '2.1', body: { snapshot: { volume_id, display_name: world.name() } } });
  const { id } = (body as { snapshot: { id: string } }).snapshot;
  const end = Date.now() + 20_000;
  for (;;) {
    const { snapshot } = (await world.other(`GET /volume/v3/${world.project}/snapshots/${id}`)) as { snapshot: { status: string } };
    if (snapshot.status === 'available') return id;
    if (Date.now() > end) throw new Error(`snapshot is ${snapshot.status}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
};
/** A volume that a server has: the samples show one. */
const volumeInUse = async (world: World): Promise<string> => {
  const [server, volume] = await Promise.all([world.server(), world.volume()]);
  await world.ask(`POST /servers/${server}/os-volume_attachments`, { at: '2.1', body: { volumeAttachment: { volumeId: volume } } });
  const end = Date.now() + 20_000;
  for (;;) {
    const shown = (await world.other(`GET /volume/v3/${world.project}/volumes/${volume}`)) as { volume: { status: string } };
    if (shown.volume.status === 'in-use') return volume;
    if (Date.now() > end) throw new Error(`volume is ${shown.volume.status}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
};
const day = () => new Date().toISOString().slice(0, 10);

export const resourceRecipes: Readonly<Record<string, Recipe>> = {
  'versions:list': plain('GET //'),
  'versions:choices': plain('GET //no-such-version'),
  'versions:show-legacy': plain('GET //v2/'),
  'versions:show-root': plain('GET //v2.1/'),
  'versions:show': plain('GET //v2.1/'),
  'extensions:index': plain('GET /extensions'),
  'extensions:show': plain('GET /extensions/os-agents'),
  'limits:index': plain('GET /limits'),

  'flavors:index': plain('GET /flavors?limit=3'),
  'flavors:detail': plain('GET /flavors/detail?limit=3'),
  'flavors:show': plain('GET /flavors/1'),
  'flavors:create': (world, _version, body) => ({
    place: 'POST /flavors',
    body: { flavor: { ...body.flavor, name: world.name(), id: world.name() } },
  }),
  'flavors:update': async (world, _version, body) => ({ place: `PUT /flavors/${await flavor(world)}`, body }),
  'flavors:delete': async (world) => ({ place: `DELETE /flavors/${await flavor(world)}` }),
  'flavor-access:addTenantAccess': async (world, _version, body) => {
    const id = await flavor(world, { 'os-flavor-access:is_public': false });
    return { place: `POST /flavors/${id}/action`, body: { addTenantAccess: { ...body.addTenantAccess, tenant: world.project } } };
  },
  'flavor-access:removeTenantAccess': async (world) => {
    const id = await flavor(world, { 'os-flavor-access:is_public': false });
    const tenant = { tenant: world.project };
    await world.ask(`POST /flavors/${id}/action`, { body: { addTenantAccess: tenant } });
    return { place: `POST /flavors/${id}/action`, body: { removeTenantAccess: tenant } };
  },
  'flavor-access:index': async (world) => {
    const id = await flavor(world, { 'os-flavor-access:is_public': false });
    await world.ask(`POST /flavors/${id}/action`, { body: { addTenantAccess: { tenant: world.project } } });
    return { place: `GET /flavors/${id}/os-flavor-access` };
  },
  'flavor-extra-specs:index': async (world) => ({ place: `GET /flavors/${await specced(world)}/os-extra_specs` }),
  'flavor-extra-specs:create': async (world, _version, body) => ({ place: `POST /flavors/${await flavor(world)}/os-extra_specs`, body }),
  'flavor-extra-specs:show': async (world) => ({ place: `GET /flavors/${await specced(world)}/os-extra_specs/hw:numa_nodes` }),
  'flavor-extra-specs:update': async (world, _version, body) => ({
    place: `PUT /flavors/${await specced(world)}/os-extra_specs/${Object.keys(body)[0]}`,
    body,
  }),
  'flavor-extra-specs:delete': async (world) => ({ place: `DELETE /flavors/${await specced(world)}/os-extra_specs/hw:numa_nodes` }),

  'images:index': plain('GET /images'),
  'images:detail': plain('GET /images/detail?type=SERVER'),
  'images:show': (world) => ({ place: `GET /images/${world.image}` }),
  'images:delete': async (world) => ({ place: `DELETE /images/${await imageOf(world)}` }),
  'image-metadata:index': async (world) => ({ place: `GET /images/${await imageOf(world)}/metadata` }),
  'image-metadata:create': async (world, _version, body) => ({ place: `POST /images/${await imageOf(world)}/metadata`, body }),
  'image-metadata:update_all': async (world, _version, body) => ({ place: `PUT /images/${await imageOf(world)}/metadata`, body }),
  'image-metadata:show': async (world) => ({ place: `GET /images/${await imageOf(world)}/metadata/Label` }),
  'image-metadata:update': async (world, _version, body) => ({
    place: `PUT /images/${await imageOf(world)}/metadata/${Object.keys(body.meta)[0]}`,
    body,
  }),
  'image-metadata:delete': async (world) => ({ place: `DELETE /images/${await imageOf(world)}/metadata/Label` }),

  'os-aggregates:index': async (world) => {
    await aggregate(world, 'london');
    return { place: 'GET /os-aggregates' };
  },
  'os-aggregates:create': (world, _version, body) => ({
    place: 'POST /os-aggregates',
    body: { aggregate: { ...body.aggregate, name: world.name() } },
  }),
  'os-aggregates:show': async (world) => ({ place: `GET /os-aggregates/${await aggregate(world, 'london')}` }),
  'os-aggregates:update': async (world, _version, body) => ({
    place: `PUT /os-aggregates/${await aggregate(world)}`,
    body: { aggregate: { ...body.aggregate, name: world.name() } },
  }),
  'os-aggregates:delete': async (world) => ({ place: `DELETE /os-aggregates/${await aggregate(world)}` }),
  'os-aggregates:add_host': async (world) => {
    const id = await aggregate(world);
    const after = () => act(world, id, { remove_host: { host: host(world) } });
    return { place: `POST /os-aggregates/${id}/action`, body: { add_host: { host: host(world) } }, after };
  },
  'os-aggregates:remove_host': async (world) => {
    const id = await aggregate(world);
    await act(world, id, { add_host: { host: host(world) } });
    return { place: `POST /os-aggregates/${id}/action`, body: { remove_host: { host: host(world) } } };
  },
  'os-aggregates:set_metadata': async (world, _version, body) => ({ place: `POST /os-aggregates/${await aggregate(world)}/action`, body }),
  'os-aggregates:images': async (world) => {
    const id = await aggregate(world);
    await act(world, id, { add_host: { host: host(world) } });
    const after = () => act(world, id, { remove_host: { host: host(world) } });
    return { place: `POST /os-aggregates/${id}/images`, body: { cache: [{ id: world.image }] }, after };
  },
  'os-assisted-volume-snapshots:create': async (world, _version, body) => {
    const volume = await world.volume();
    const server = await world.server();
    await world.ask(`POST /servers/${server}/os-volume_attachments`, { at: '2.1', body: { volumeAttachment: { volumeId: volume } } });
    await world.settled(server);
    return {
      place: 'POST /os-assisted-volume-snapshots',
      body: { snapshot: { ...body.snapshot, volume_id: volume } },
      after: () => world.done(server),
    };
  },
  'os-assisted-volume-snapshots:delete': async (world) => {
    const volume = await world.volume();
    const server = await world.server();
    await world.ask(`POST /servers/${server}/os-volume_attachments`, { at: '2.1', body: { volumeAttachment: { volumeId: volume } } });
    await world.settled(server);
    const info = encodeURIComponent(JSON.stringify({ volume_id: volume, id: volume, type: 'qcow2', new_file: 'new_file_name' }));
    return { place: `DELETE /os-assisted-volume-snapshots/${volume}?delete_info=${info}`, after: () => world.done(server) };
  },
  'os-availability-zone:index': plain('GET /os-availability-zone'),
  'os-availability-zone:detail': plain('GET /os-availability-zone/detail'),

  'os-floating-ip-pools:index': plain('GET /os-floating-ip-pools'),
  'os-floating-ips:index': async (world) => {
    await floatingIp(world);
    return { place: 'GET /os-floating-ips' };
  },
  'os-floating-ips:create': async (world) => {
    const { network } = (await world.other(`GET /network/v2.0/networks/${world.external}`)) as { network: { name: string } };
    return { place: 'POST /os-floating-ips', body: { pool: network.name } };
  },
  'os-floating-ips:show': async (world) => ({ place: `GET /os-floating-ips/${await floatingIp(world)}` }),
  'os-floating-ips:delete': async (world) => ({ place: `DELETE /os-floating-ips/${await floatingIp(world)}` }),
  'os-networks:index': plain('GET /os-networks'),
  'os-networks:show': (world) => ({ place: `GET /os-networks/${world.network}` }),
  'os-tenant-networks:index': plain('GET /os-tenant-networks'),
  'os-tenant-networks:show': (world) => ({ place: `GET /os-tenant-networks/${world.network}` }),
  'os-security-groups:index': plain('GET /os-security-groups'),
  'os-security-groups:create': (world, _version, body) => ({
    place: 'POST /os-security-groups',
    body: { security_group: { ...body.security_group, name: world.name() } },
  }),
  'os-security-groups:show': async (world) => ({ place: `GET /os-security-groups/${await securityGroup(world)}` }),
  'os-security-groups:update': async (world, _version, body) => ({
    place: `PUT /os-security-groups/${await securityGroup(world)}`,
    body: { security_group: { ...body.security_group, name: world.name() } },
  }),
  'os-security-groups:delete': async (world) => ({ place: `DELETE /os-security-groups/${await securityGroup(world)}` }),
  'os-security-group-rules:create': async (world, _version, body) => ({
    place: 'POST /os-security-group-rules',
    body: { security_group_rule: { ...body.security_group_rule, parent_group_id: await securityGroup(world) } },
  }),
  'os-security-group-rules:delete': async (world) => {
    const rule = { parent_group_id: await securityGroup(world), ip_protocol: 'tcp', from_port: 22, to_port: 22, cidr: '10.0.0.0/24' };
    const { body } = await world.ask('POST /os-security-group-rules', { at: '2.1', body: { security_group_rule: rule } });
    return { place: `DELETE /os-security-group-rules/${(body as { security_group_rule: { id: string } }).security_group_rule.id}` };
  },

  'os-hosts:index': plain('GET /os-hosts'),
  'os-hosts:show': (world) => ({ place: `GET /os-hosts/${host(world)}` }),
  'os-hosts:update': (world, _version, body) => ({ place: `PUT /os-hosts/${host(world)}`, body, after: heal(world) }),
  'os-hosts:reboot': (world) => ({ place: `GET /os-hosts/${host(world)}/reboot` }),
  'os-hosts:shutdown': (world) => ({ place: `GET /os-hosts/${host(world)}/shutdown` }),
  'os-hosts:startup': (world) => ({ place: `GET /os-hosts/${host(world)}/startup` }),
  'os-hypervisors:index': (_world, version) => ({
    place: minor(version) >= uuidsFrom ? 'GET /os-hypervisors?with_servers=true' : 'GET /os-hypervisors',
  }),
  'os-hypervisors:detail': (_world, version) => ({
    place: minor(version) >= uuidsFrom ? 'GET /os-hypervisors/detail?with_servers=true' : 'GET /os-hypervisors/detail',
  }),
  'os-hypervisors:statistics': plain('GET /os-hypervisors/statistics'),
  'os-hypervisors:show': async (world, version) => ({ place: `GET /os-hypervisors/${(await hypervisor(world, version)).id}` }),
  'os-hypervisors:search': async (world, version) => ({ place: `GET /os-hypervisors/${(await hypervisor(world, version)).name}/search` }),
  'os-hypervisors:servers': async (world, version) => ({ place: `GET /os-hypervisors/${(await hypervisor(world, version)).name}/servers` }),
  'os-hypervisors:uptime': async (world, version) => ({ place: `GET /os-hypervisors/${(await hypervisor(world, version)).id}/uptime` }),
  'os-instance_usage_audit_log:index': plain('GET /os-instance_usage_audit_log'),
  'os-instance_usage_audit_log:show': () => ({ place: `GET /os-instance_usage_audit_log/${day()}%2000:00:00` }),

  'keypairs:index': async (world) => {
    await keypair(world);
    return { place: 'GET /os-keypairs?limit=1' };
  },
  'keypairs:create': (world, version, body) => ({
    place: 'POST /os-keypairs',
    body: {
      keypair: { ...body.keypair, name: world.name(), ...(minor(version) >= 10 && body.keypair.user_id ? { user_id: world.user } : {}) },
    },
  }),
  'keypairs:show': async (world) => ({ place: `GET /os-keypairs/${await keypair(world)}` }),
  'keypairs:delete': async (world) => ({ place: `DELETE /os-keypairs/${await keypair(world)}` }),

  'os-quota-class-sets:show': plain('GET /os-quota-class-sets/default'),
  'os-quota-class-sets:update': (_world, _version, body) => ({ place: 'PUT /os-quota-class-sets/another', body }),
  'os-quota-sets:show': (world) => ({ place: `GET /os-quota-sets/${world.spare}` }),
  'os-quota-sets:update': (world, _version, body, file) => ({
    place: `PUT /os-quota-sets/${world.spare}${/user-quotas/.test(file) ? `?user_id=${world.user}` : ''}`,
    body,
  }),
  'os-quota-sets:delete': plain(`DELETE /os-quota-sets/${'e'.repeat(32)}`),
  'os-quota-sets:detail': (world) => ({ place: `GET /os-quota-sets/${world.project}/detail` }),
  'os-quota-sets:defaults': (world) => ({ place: `GET /os-quota-sets/${world.project}/defaults` }),

  'os-server-external-events:create': async (world) => {
    const server = await world.server();
    const event = { name: 'network-changed', server_uuid: server, tag: 'x' };
    return { place: 'POST /os-server-external-events', body: { events: [event] }, after: () => world.done(server) };
  },
  'server-groups:index': async (world) => {
    await group(world);
    return { place: 'GET /os-server-groups' };
  },
  'server-groups:create': (world, _version, body) => ({
    place: 'POST /os-server-groups',
    body: { server_group: { ...body.server_group, name: world.name() } },
  }),
  'server-groups:show': async (world) => ({ place: `GET /os-server-groups/${await group(world)}` }),
  'server-groups:delete': async (world) => ({ place: `DELETE /os-server-groups/${await group(world)}` }),

  'os-services:index': plain('GET /os-services'),
  'os-services:update': async (world, _version, body) => ({
    place: `PUT /os-services/${(await service(world)).id}`,
    body,
    after: heal(world),
  }),
  'os-services:enable': (world, _version, body) => ({
    place: 'PUT /os-services/enable',
    body: { ...body, host: host(world) },
    after: heal(world),
  }),
  'os-services:disable': (world, _version, body) => ({
    place: 'PUT /os-services/disable',
    body: { ...body, host: host(world) },
    after: heal(world),
  }),
  'os-services:disable-log-reason': (world, _version, body) => ({
    place: 'PUT /os-services/disable-log-reason',
    body: { ...body, host: host(world) },
    after: heal(world),
  }),
  'os-services:force-down': (world, _version, body) => ({
    place: 'PUT /os-services/force-down',
    body: { ...body, host: host(world) },
    after: heal(world),
  }),
  'os-services:delete': async (world, version) => {
    const { body } = await world.ask('GET /os-services', { at: version });
    const { services } = body as { services: { id: string | number; binary: string }[] };
    const found = services.find((one) => one.binary !== 'nova-compute');
    return { place: `DELETE /os-services/${found?.id}` };
  },
  'os-simple-tenant-usage:index': plain('GET /os-simple-tenant-usage?detailed=1'),
  'os-simple-tenant-usage:show': (world) => ({ place: `GET /os-simple-tenant-usage/${world.project}` }),

  'os-snapshots:index': async (world) => {
    await volumeSnapshot(world);
    return { place: 'GET /os-snapshots' };
  },
  'os-snapshots:create': async (world, _version, body) => ({
    place: 'POST /os-snapshots',
    body: { snapshot: { ...body.snapshot, volume_id: await world.volume() } },
  }),
  'os-snapshots:detail': async (world) => {
    await volumeSnapshot(world);
    return { place: 'GET /os-snapshots/detail' };
  },
  'os-snapshots:show': async (world) => ({ place: `GET /os-snapshots/${await volumeSnapshot(world)}` }),
  'os-snapshots:delete': async (world) => ({ place: `DELETE /os-snapshots/${await volumeSnapshot(world)}` }),
  'os-volumes:index': async (world) => {
    await volumeInUse(world);
    return { place: 'GET /os-volumes' };
  },
  'os-volumes:create': (_world, _version, body) => ({
    place: 'POST /os-volumes',
    body: { volume: { ...body.volume, size: 1, availability_zone: 'nova' } },
  }),
  'os-volumes:detail': async (world) => {
    await volumeInUse(world);
    return { place: 'GET /os-volumes/detail' };
  },
  'os-volumes:show': async (world) => ({ place: `GET /os-volumes/${await volumeInUse(world)}` }),
  'os-volumes:delete': async (world) => ({ place: `DELETE /os-volumes/${await world.volume()}` }),
};

async function specced(world: World): Promise<string> {
  const id = await flavor(world);
  await world.ask(`POST /flavors/${id}/os-extra_specs`, { body: { extra_specs: { 'hw:numa_nodes': '1', 'hw:cpu_policy': 'shared' } } });
  return id;
}
