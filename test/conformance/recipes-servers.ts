import { type Body, minor, type Recipe } from './recipe.ts';
import type { World } from './world.ts';

// Servers, their actions, and what hangs on them.
const gone = (world: World, id: string) => () => world.done(id);
const zone = 'nova';

/** One server that is only looked at. */
const looked = new WeakMap<World, Promise<string>>();
function sight(world: World): Promise<string> {
  const known = looked.get(world) ?? furnished(world);
  looked.set(world, known);
  return known;
}
async function furnished(world: World): Promise<string> {
  const id = await world.server({ metadata: { 'My Server Name': 'Apache1', foo: 'Foo Value' } });
  await world.ask(`PUT /servers/${id}/tags`, { body: { tags: ['tag1', 'tag2'] } });
  return id;
}
const at =
  (rest: string): Recipe =>
  async (world) => ({ place: `GET /servers/${await sight(world)}${rest}` });

/** An action on a fresh server in the status it starts from. */
const act =
  (status: string, change: (body: Body, world: World, id: string, version: string) => Body | Promise<Body> = (body) => body): Recipe =>
  async (world, version, body) => {
    const id = await world.inState(status);
    return { place: `POST /servers/${id}/action`, body: await change(structuredClone(body), world, id, version), after: gone(world, id) };
  };

function realServer(body: Body, world: World, version: string): Body {
  const { server } = body;
  server.name = world.name();
  if (server.imageRef) server.imageRef = world.image;
  if (server.flavorRef) server.flavorRef = '1';
  if (server.availability_zone) server.availability_zone = zone;
  if (server.host) server.host = world.hosts[0];
  if (server.hypervisor_hostname) server.hypervisor_hostname = world.hosts[0];
  if (Array.isArray(server.networks)) for (const one of server.networks) one.uuid = world.network;
  for (const disk of server.block_device_mapping_v2 ?? []) {
    disk.uuid = world.image;
    if (disk.volume_type) delete disk.volume_type;
  }
  delete body['OS-SCH-HNT:scheduler_hints'];
  delete body['os:scheduler_hints'];
  if (minor(version) < 37 && !server.networks) server.networks = [{ uuid: world.network }];
  return body;
}

async function withVolume(world: World): Promise<{ server: string; volume: string }> {
  const [server, volume] = await Promise.all([world.server(), world.volume()]);
  const answer = await world.ask(`POST /servers/${server}/os-volume_attachments`, {
    at: '2.1',
    body: { volumeAttachment: { volumeId: volume } },
  });
  if (answer.status !== 200) throw new Error(`no attachment: ${answer.status} ${answer.text.slice(0, 300)}`);
  await attached(world, server, volume);
  return { server, volume };
}
async function attached(world: World, server: string, volume: string): Promise<void> {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = (await world.other(`GET /volume/v3/${world.project}/volumes/${volume}`)) as { volume: { status: string } };
    if (found.volume.status === 'in-use') return void (await world.settled(server));
    if (Date.now() > end) throw new Error(`volume is ${found.volume.status}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
async function withInterface(world: World): Promise<{ server: string; port: string }> {
  const server = await world.server();
  const { body } = await world.ask(`GET /servers/${server}/os-interface`);
  return { server, port: (body as { interfaceAttachments: { port_id: string }[] }).interfaceAttachments[0]?.port_id ?? '' };
}
async function free(world: World): Promise<string> {
  const port = await world.port();
  const fixed = port.fixed_ips as { ip_address: string }[];
  await world.other(`DELETE /network/v2.0/ports/${port.id}`).catch(() => undefined);
  return fixed[0]?.ip_address ?? '';
}
/** A server whose live migration stands still, so that it can be aborted or forced. */
async function migrating(world: World): Promise<{ server: string; migration: number }> {
  const server = await world.server({ metadata: { 'fake:migrateLive': 'slow:4000' } });
  await world.act(server, { 'os-migrateLive': { host: null, block_migration: 'auto' } });
  const end = Date.now() + 20_000;
  for (;;) {
    const { body } = await world.ask(`GET /servers/${server}/migrations`);
    const found = (body as { migrations?: { id: number; status: string }[] } | undefined)?.migrations?.[0];
    if (found?.status === 'running') return { server, migration: found.id };
    if (Date.now() > end) throw new Error(`no running migration: ${JSON.stringify(body)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
/** A server on a host that is down. */
async function stranded(world: World): Promise<{ id: string; heal: () => Promise<unknown> }> {
  const host = world.hosts.at(-1) ?? '';
  const id = await world.server({ availability_zone: `nova:${host}` });
  const { body } = await world.ask('GET /os-services?binary=nova-compute');
  const service = (body as { services: { id: string; host: string }[] }).services.find((one) => one.host === host);
  await world.ask(`PUT /os-services/${service?.id}`, { body: { forced_down: true } });
  return {
    id,
    async heal() {
      await world.settled(id).catch(() => undefined);
      await world.ask(`PUT /os-services/${service?.id}`, { body: { forced_down: false } });
      await world.done(id);
    },
  };
}
const other = async (world: World, id: string) => {
  const server = await world.settled(id);
  return world.hosts.find((one) => one !== server['OS-EXT-SRV-ATTR:host']);
};
const console: Recipe = act('ACTIVE');
const request = async (world: World, id: string) => {
  const { body } = await world.ask(`GET /servers/${id}/os-instance-actions`);
  return (body as { instanceActions: { request_id: string }[] }).instanceActions.at(-1)?.request_id;
};
const onVolumesBoot =
  (recipe: Recipe): Recipe =>
  async (world, version, body, file) => {
    const made = await recipe(world, version, body, file);
    return { ...made, place: made.place.replace('/servers', '/os-volumes_boot') };
  };

const servers: Readonly<Record<string, Recipe>> = {
  'servers:index': async (world) => {
    await sight(world);
    return { place: 'GET /servers?limit=1' };
  },
  'servers:detail': async (world) => {
    await sight(world);
    return { place: 'GET /servers/detail?limit=1' };
  },
  'servers:show': at(''),
  'servers:create': (world, version, body) => ({ place: 'POST /servers', body: realServer(structuredClone(body), world, version) }),
  'servers:update': async (world, _version, body) => {
    const id = await world.server();
    return { place: `PUT /servers/${id}`, body, after: gone(world, id) };
  },
  'servers:delete': async (world) => ({ place: `DELETE /servers/${await world.server()}` }),

  'server-actions:confirmResize': act('VERIFY_RESIZE'),
  'server-actions:revertResize': act('VERIFY_RESIZE'),
  'server-actions:reboot': act('ACTIVE'),
  'server-actions:resize': act('ACTIVE'),
  'server-actions:rebuild': act('ACTIVE', async (body, world) => {
    body.rebuild.imageRef = world.image;
    if (body.rebuild.key_name) {
      const name = world.name();
      await world.ask('POST /os-keypairs', {
        at: '2.1',
        body: { keypair: { name, public_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me' } },
      });
      body.rebuild.key_name = name;
    }
    return body;
  }),
  'server-actions:createImage': act('ACTIVE'),
  'server-actions:os-start': act('SHUTOFF'),
  'server-actions:os-stop': act('ACTIVE'),
  'server-actions:trigger_crash_dump': act('ACTIVE'),
  'server-actions:injectNetworkInfo': act('ACTIVE'),
  'server-actions:os-resetState': act('ACTIVE'),
  'server-actions:changePassword': act('ACTIVE'),
  'server-actions:os-getConsoleOutput': act('ACTIVE'),
  'server-actions:createBackup': act('ACTIVE'),
  'server-actions:restore': async (world, _version, body) => {
    const id = await world.server();
    await world.ask(`DELETE /servers/${id}`);
    await world.settled(id, 'SOFT_DELETED');
    return { place: `POST /servers/${id}/action`, body, after: gone(world, id) };
  },
  'server-actions:forceDelete': act('ACTIVE'),
  'server-actions:evacuate': async (world, _version, body) => {
    const { id, heal } = await stranded(world);
    const wish = structuredClone(body);
    if (wish.evacuate.host) wish.evacuate.host = world.hosts[0];
    return { place: `POST /servers/${id}/action`, body: wish, after: heal };
  },
  'server-actions:addFloatingIp': async (world) => {
    const id = await world.server();
    const made = (await world.other('POST /network/v2.0/floatingips', { floatingip: { floating_network_id: world.external } })) as {
      floatingip: { floating_ip_address: string };
    };
    return {
      place: `POST /servers/${id}/action`,
      body: { addFloatingIp: { address: made.floatingip.floating_ip_address } },
      after: gone(world, id),
    };
  },
  'server-actions:removeFloatingIp': async (world) => {
    const id = await world.server();
    const made = (await world.other('POST /network/v2.0/floatingips', { floatingip: { floating_network_id: world.external } })) as {
      floatingip: { floating_ip_address: string };
    };
    const address = { address: made.floatingip.floating_ip_address };
    await world.act(id, { addFloatingIp: address }, '2.1');
    return { place: `POST /servers/${id}/action`, body: { removeFloatingIp: address }, after: gone(world, id) };
  },
  'server-actions:lock': act('ACTIVE'),
  'server-actions:unlock': act('ACTIVE'),
  'server-actions:migrate': act('ACTIVE', async (body, world, id) => {
    if (body.migrate?.host) body.migrate.host = await other(world, id);
    return body;
  }),
  'server-actions:os-migrateLive': act('ACTIVE', async (body, world, id) => {
    if (body['os-migrateLive'].host) body['os-migrateLive'].host = await other(world, id);
    return body;
  }),
  'server-actions:addFixedIp': act('ACTIVE', (_body, world) => ({ addFixedIp: { networkId: world.network } })),
  'server-actions:removeFixedIp': act('ACTIVE', async (_body, world, id) => {
    const server = await world.settled(id);
    const [addresses] = Object.values(server.addresses as Record<string, { addr: string }[]>);
    return { removeFixedIp: { address: addresses?.[0]?.addr } };
  }),
  'server-actions:pause': act('ACTIVE'),
  'server-actions:unpause': act('PAUSED'),
  'server-actions:os-getVNCConsole': console,
  'server-actions:os-getSPICEConsole': console,
  'server-actions:os-getSerialConsole': console,
  'server-actions:rescue': act('ACTIVE', (body, world) => {
    if (body.rescue.rescue_image_ref) body.rescue.rescue_image_ref = world.image;
    return body;
  }),
  'server-actions:unrescue': act('RESCUE'),
  'server-actions:addSecurityGroup': act('ACTIVE', async (_body, world) => {
    const name = world.name();
    await world.other('POST /network/v2.0/security-groups', { security_group: { name } });
    return { addSecurityGroup: { name } };
  }),
  'server-actions:removeSecurityGroup': act('ACTIVE', () => ({ removeSecurityGroup: { name: 'default' } })),
  'server-actions:shelve': act('ACTIVE'),
  'server-actions:shelveOffload': act('SHELVED'),
  'server-actions:unshelve': act('SHELVED_OFFLOADED', (body, world) => {
    if (body.unshelve?.availability_zone) body.unshelve.availability_zone = zone;
    if (body.unshelve?.host) body.unshelve.host = world.hosts[0];
    return body;
  }),
  'server-actions:suspend': act('ACTIVE'),
  'server-actions:resume': act('SUSPENDED'),

  'server-diagnostics:index': at('/diagnostics'),
  'server-topology:index': at('/topology'),
  'server-ips:index': at('/ips'),
  'server-ips:show': async (world) => {
    const id = await sight(world);
    const server = await world.settled(id);
    return { place: `GET /servers/${id}/ips/${Object.keys(server.addresses as object)[0]}` };
  },
  'server-metadata:index': at('/metadata'),
  'server-metadata:create': async (world, _version, body) => ({ place: `POST /servers/${await sight(world)}/metadata`, body }),
  'server-metadata:update_all': async (world, _version, body) => ({ place: `PUT /servers/${await sight(world)}/metadata`, body }),
  'server-metadata:show': at('/metadata/foo'),
  'server-metadata:update': async (world, _version, body) => ({ place: `PUT /servers/${await sight(world)}/metadata/foo`, body }),
  'server-metadata:delete': async (world) => {
    const id = await sight(world);
    await world.ask(`POST /servers/${id}/metadata`, { body: { metadata: { gone: 'soon', foo: 'Foo Value' } } });
    return { place: `DELETE /servers/${id}/metadata/gone` };
  },
  'server-migrations:index': async (world) => {
    const { server } = await migrating(world);
    return { place: `GET /servers/${server}/migrations`, after: gone(world, server) };
  },
  'server-migrations:show': async (world) => {
    const { server, migration } = await migrating(world);
    return { place: `GET /servers/${server}/migrations/${migration}`, after: gone(world, server) };
  },
  'server-migrations:delete': async (world) => {
    const { server, migration } = await migrating(world);
    return { place: `DELETE /servers/${server}/migrations/${migration}`, after: gone(world, server) };
  },
  'server-migrations:force_complete': async (world, _version, body) => {
    const { server, migration } = await migrating(world);
    return { place: `POST /servers/${server}/migrations/${migration}/action`, body, after: gone(world, server) };
  },
  'os-migrations:index': async (world) => {
    const id = await world.inState('VERIFY_RESIZE');
    return { place: 'GET /os-migrations', after: gone(world, id) };
  },
  'os-instance-actions:index': at('/os-instance-actions'),
  'os-instance-actions:show': async (world) => {
    const id = await sight(world);
    return { place: `GET /servers/${id}/os-instance-actions/${await request(world, id)}` };
  },
  'os-interface:index': at('/os-interface'),
  'os-interface:create': async (world, _version, body) => {
    const id = await world.server();
    const wish = structuredClone(body);
    const { interfaceAttachment } = wish;
    if (interfaceAttachment.port_id) interfaceAttachment.port_id = (await world.port()).id;
    if (interfaceAttachment.net_id) interfaceAttachment.net_id = world.network;
    if (interfaceAttachment.fixed_ips) interfaceAttachment.fixed_ips = [{ ip_address: await free(world) }];
    return { place: `POST /servers/${id}/os-interface`, body: wish, after: gone(world, id) };
  },
  'os-interface:show': async (world) => {
    const { server, port } = await withInterface(world);
    return { place: `GET /servers/${server}/os-interface/${port}`, after: gone(world, server) };
  },
  'os-interface:delete': async (world) => {
    const { server, port } = await withInterface(world);
    return { place: `DELETE /servers/${server}/os-interface/${port}`, after: gone(world, server) };
  },
  'os-server-password:index': at('/os-server-password'),
  'os-server-password:clear': async (world) => ({ place: `DELETE /servers/${await sight(world)}/os-server-password` }),
  'os-volume_attachments:index': async (world) => {
    const { server } = await withVolume(world);
    return { place: `GET /servers/${server}/os-volume_attachments`, after: gone(world, server) };
  },
  'os-volume_attachments:create': async (world, _version, body) => {
    const [server, volumeId] = await Promise.all([world.server(), world.volume()]);
    const wish = { volumeAttachment: { ...body.volumeAttachment, volumeId } };
    return { place: `POST /servers/${server}/os-volume_attachments`, body: wish, after: gone(world, server) };
  },
  'os-volume_attachments:show': async (world) => {
    const { server, volume } = await withVolume(world);
    return { place: `GET /servers/${server}/os-volume_attachments/${volume}`, after: gone(world, server) };
  },
  'os-volume_attachments:update': async (world, _version, body) => {
    const { server, volume } = await withVolume(world);
    const wish = structuredClone(body);
    const flag = 'delete_on_termination' in wish.volumeAttachment;
    wish.volumeAttachment.volumeId = flag ? volume : await world.volume();
    // A volume is swapped only while its service moves it; an admin's word stands for a move to another pool, which a cloud of one pool has not.
    if (!flag)
      await world.other(`POST /volume/v3/${world.project}/volumes/${volume}/action`, {
        'os-reset_status': { migration_status: 'migrating' },
      });
    if (wish.volumeAttachment.id) wish.volumeAttachment.id = volume;
    if (wish.volumeAttachment.serverId) wish.volumeAttachment.serverId = server;
    if (flag) {
      const { body: shown } = await world.ask(`GET /servers/${server}/os-volume_attachments/${volume}`);
      const { device, tag } = (shown as { volumeAttachment: { device: string; tag: string | null } }).volumeAttachment;
      if (wish.volumeAttachment.device) wish.volumeAttachment.device = device;
      if ('tag' in wish.volumeAttachment) wish.volumeAttachment.tag = tag;
      if (wish.volumeAttachment.tag === null) delete wish.volumeAttachment.tag;
    }
    return { place: `PUT /servers/${server}/os-volume_attachments/${volume}`, body: wish, after: gone(world, server) };
  },
  'os-volume_attachments:delete': async (world) => {
    const { server, volume } = await withVolume(world);
    return { place: `DELETE /servers/${server}/os-volume_attachments/${volume}`, after: gone(world, server) };
  },
  'remote-consoles:create': async (world, _version, body) => {
    const id = await world.server();
    return { place: `POST /servers/${id}/remote-consoles`, body, after: gone(world, id) };
  },
  'os-console-auth-tokens:show': async (world, version) => {
    const id = await world.server();
    const kind = minor(version) >= 99 ? { protocol: 'spice', type: 'spice-direct' } : { protocol: 'vnc', type: 'novnc' };
    const made = await world.ask(`POST /servers/${id}/remote-consoles`, { body: { remote_console: kind } });
    const { url } = (made.body as { remote_console: { url: string } }).remote_console;
    const token = decodeURIComponent(/token(?:=|%3D)([\w-]+)/i.exec(url)?.[1] ?? '');
    return { place: `GET /os-console-auth-tokens/${token}`, after: gone(world, id) };
  },
  'server-security-groups:index': at('/os-security-groups'),
  'server-tags:index': at('/tags'),
  'server-tags:update_all': async (world, _version, body) => ({ place: `PUT /servers/${await sight(world)}/tags`, body }),
  'server-tags:delete_all': async (world) => {
    const id = await world.server();
    return { place: `DELETE /servers/${id}/tags`, after: gone(world, id) };
  },
  'server-tags:show': at('/tags/tag1'),
  'server-tags:update': async (world) => ({ place: `PUT /servers/${await sight(world)}/tags/${world.name()}` }),
  'server-tags:delete': async (world) => {
    const id = await world.server();
    await world.ask(`PUT /servers/${id}/tags/gone`);
    return { place: `DELETE /servers/${id}/tags/gone`, after: gone(world, id) };
  },
};

const bootable = (world: World) => ({
  server: {
    name: world.name(),
    flavorRef: '1',
    networks: [{ uuid: world.network }],
    block_device_mapping_v2: [
      { uuid: world.image, source_type: 'image', destination_type: 'volume', boot_index: 0, volume_size: '1', delete_on_termination: true },
    ],
  },
});
const bodies: Readonly<Record<string, Body>> = {
  confirmResize: { confirmResize: null },
  revertResize: { revertResize: null },
  reboot: { reboot: { type: 'HARD' } },
  resize: { resize: { flavorRef: '2' } },
  createImage: { createImage: { name: 'made' } },
  'os-start': { 'os-start': null },
  'os-stop': { 'os-stop': null },
  trigger_crash_dump: { trigger_crash_dump: null },
};
/** The same operations on the mount that boots from volumes; the catalogue has no samples for it. */
const volumesBoot: Record<string, Recipe> = {
  'os-volumes_boot:index': onVolumesBoot(servers['servers:index'] as Recipe),
  'os-volumes_boot:detail': onVolumesBoot(servers['servers:detail'] as Recipe),
  'os-volumes_boot:show': onVolumesBoot(servers['servers:show'] as Recipe),
  'os-volumes_boot:delete': onVolumesBoot(servers['servers:delete'] as Recipe),
  'os-volumes_boot:create': (world) => ({ place: 'POST /os-volumes_boot', body: bootable(world) }),
  'os-volumes_boot:update': async (world, version, _body, file) =>
    onVolumesBoot(servers['servers:update'] as Recipe)(world, version, { server: { name: world.name() } }, file),
  'os-volumes_boot:rebuild': async (world, version, _body, file) =>
    onVolumesBoot(act('ACTIVE'))(world, version, { rebuild: { imageRef: world.image } }, file),
};
for (const [word, body] of Object.entries(bodies))
  volumesBoot[`os-volumes_boot:${word}`] = (world, version, _body, file) =>
    onVolumesBoot(servers[`server-actions:${word}`] as Recipe)(world, version, body, file);

export const serverRecipes: Readonly<Record<string, Recipe>> = { ...servers, ...volumesBoot };
