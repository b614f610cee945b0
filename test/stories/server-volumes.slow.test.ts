import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';

let house: House;
let demo: Client;
let admin: Client;
let imageId: string;
before(async () => {
  house = await startHouse();
  demo = await house.as('demo');
  admin = await house.as('admin');
  const { body } = await demo.identity.ask<Any>('GET', '/v3/auth/projects');
  const limits = { quota_set: { volumes: 100 } };
  await admin.volume.ask('PUT', `/os-quota-sets/${body.projects[0].id}`, { body: limits });
  imageId = (await demo.image.ask<{ images: { id: string }[] }>('GET', '/v2/images')).body.images[0]?.id ?? '';
});
after(() => house.remove());

// biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of every form
type Any = any;
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
const ALL = Array.from({ length: 500 }, (_none, at) => at + 100);
/** Asks compute as demo; answers whatever comes. */
const compute = async (place: string, body?: unknown, at = '2.89', who: Client = demo) => {
  const [method, path = '/'] = place.split(' ');
  const headers = { 'openstack-api-version': `compute ${at}` };
  const answer = await who.compute.ask<Any>(method as Method, path, { ...(body === undefined ? {} : { body }), headers, expect: ALL });
  return { status: answer.status, body: answer.body };
};
const volumes = async (place: string, body?: unknown) => {
  const [method, path = '/'] = place.split(' ');
  const headers = { 'openstack-api-version': 'volume 3.70' };
  return (await demo.volume.ask<Any>(method as Method, path, { ...(body === undefined ? {} : { body }), headers, expect: ALL })).body;
};
const volumeIs = async (id: string, status: string) => {
  let seen = '';
  await waitFor(
    async () => {
      seen = (await volumes(`GET /volumes/${id}`)).volume?.status ?? 'gone';
      return seen === status;
    },
    10_000,
    () => `volume ${id} is ${seen}, not ${status}`,
  );
};
const makeVolume = async (more: object = {}): Promise<string> => {
  const { volume } = await volumes('POST /volumes', { volume: { size: 1, ...more } });
  await volumeIs(volume.id, 'available');
  return volume.id;
};
const wish = (more: object = {}) => ({ server: { name: 's', flavorRef: '1', imageRef: imageId, networks: 'none', ...more } });
const boot = async (more: object = {}, at = '2.89'): Promise<string> => {
  const made = await compute('POST /servers', wish(at === '2.1' ? { networks: undefined, ...more } : more), at);
  assert.equal(made.status, 202, JSON.stringify(made.body));
  return made.body.server.id;
};
const serverIs = async (id: string, status: string): Promise<Any> => {
  let seen: Any;
  await waitFor(
    async () => {
      seen = (await compute(`GET /servers/${id}`)).body.server;
      return seen?.status === status || (status === 'gone' && seen === undefined);
    },
    15_000,
    () => `server ${id} is ${seen?.status}, not ${status}: ${JSON.stringify(seen?.fault)}`,
  );
  return seen;
};
const end = async (id: string) => {
  await compute(`DELETE /servers/${id}`);
  await serverIs(id, 'gone');
};

test('a volume is plugged in, shown, kept, and unplugged', async () => {
  const [server, volume] = [await boot(), await makeVolume()];
  await serverIs(server, 'ACTIVE');
  const place = `/servers/${server}/os-volume_attachments`;
  const plugged = await compute(`POST ${place}`, { volumeAttachment: { volumeId: volume, tag: 'data', delete_on_termination: false } });
  assert.equal(plugged.status, 200);
  assert.deepEqual(plugged.body.volumeAttachment, {
    id: volume,
    serverId: server,
    volumeId: volume,
    device: '/dev/vdb',
    tag: 'data',
    delete_on_termination: false,
  });
  await volumeIs(volume, 'in-use');
  const { volume: shown } = await volumes(`GET /volumes/${volume}`);
  assert.deepEqual([shown.attachments[0].server_id, shown.attachments[0].device], [server, '/dev/vdb']);
  const view = (await compute(`GET ${place}/${volume}`)).body.volumeAttachment;
  assert.deepEqual(Object.keys(view).sort(), [
    'attachment_id',
    'bdm_uuid',
    'delete_on_termination',
    'device',
    'serverId',
    'tag',
    'volumeId',
  ]);
  const old = (await compute(`GET ${place}`, undefined, '2.1')).body.volumeAttachments;
  assert.deepEqual(old, [{ id: volume, serverId: server, volumeId: volume, device: '/dev/vdb' }]);
  const { 'os-extended-volumes:volumes_attached': attached } = (await compute(`GET /servers/${server}`)).body.server;
  assert.deepEqual(attached, [{ id: volume, delete_on_termination: false }]);
  const listed = (await compute('GET /servers/detail', undefined, '2.1')).body.servers.find((one: Any) => one.id === server);
  assert.deepEqual(listed['os-extended-volumes:volumes_attached'], [{ id: volume }]);

  assert.equal((await compute(`POST ${place}`, { volumeAttachment: { volumeId: volume } })).status, 400, 'twice');
  assert.equal((await compute(`PUT ${place}/${volume}`, { volumeAttachment: { volumeId: volume, tag: 'other' } })).status, 400);
  assert.equal(
    (await compute(`PUT ${place}/${volume}`, { volumeAttachment: { volumeId: volume, delete_on_termination: true } })).status,
    202,
  );
  assert.equal((await compute(`GET ${place}/${volume}`)).body.volumeAttachment.delete_on_termination, true);
  const other = await makeVolume();
  assert.equal(
    (await compute(`PUT ${place}/${volume}`, { volumeAttachment: { volumeId: other } })).status,
    403,
    'swapping is the services’',
  );
  assert.equal((await compute(`PUT ${place}/${volume}`, { volumeAttachment: { volumeId: other } }, '2.89', admin)).status, 409);

  assert.equal((await compute(`DELETE ${place}/${volume}`)).status, 202);
  await volumeIs(volume, 'available');
  await waitFor(
    async () => (await compute(`GET ${place}`)).body.volumeAttachments.length === 0,
    5000,
    () => 'the attachment stays',
  );
  assert.equal((await compute(`DELETE ${place}/${volume}`)).status, 404);
  const actions = (await compute(`GET /servers/${server}/os-instance-actions`)).body.instanceActions.map((one: Any) => one.action);
  assert.deepEqual(actions, ['detach_volume', 'attach_volume', 'create']);
  await end(server);
});

test('from 2.101 on an attach is 202 without a body; a wished device name is taken, one in use refused', async () => {
  const [server, one, two] = [await boot(), await makeVolume(), await makeVolume()];
  await serverIs(server, 'ACTIVE');
  const place = `/servers/${server}/os-volume_attachments`;
  const first = await compute(`POST ${place}`, { volumeAttachment: { volumeId: one, device: '/dev/vdf' } }, '2.101');
  assert.deepEqual([first.status, first.body], [202, undefined]);
  assert.equal((await compute(`POST ${place}`, { volumeAttachment: { volumeId: two, device: '/dev/vdf' } })).status, 409);
  await volumeIs(two, 'available');
  await volumeIs(one, 'in-use');
  assert.equal((await compute(`GET ${place}/${one}`)).body.volumeAttachment.device, '/dev/vdf');
  await end(server);
  await volumeIs(one, 'available');
});

test('a guest that takes no volume leaves it free, and the action says why', async () => {
  const [server, volume] = [await boot({ metadata: { 'fake:attachVolume': 'fail' } }), await makeVolume()];
  await serverIs(server, 'ACTIVE');
  const place = `/servers/${server}/os-volume_attachments`;
  assert.equal((await compute(`POST ${place}`, { volumeAttachment: { volumeId: volume } })).status, 200);
  await waitFor(
    async () => (await compute(`GET ${place}`)).body.volumeAttachments.length === 0,
    10_000,
    () => 'the attachment stays',
  );
  await volumeIs(volume, 'available');
  const [action] = (await compute(`GET /servers/${server}/os-instance-actions`)).body.instanceActions;
  assert.deepEqual([action.action, action.message], ['attach_volume', 'Error']);
  assert.equal((await compute(`GET /servers/${server}`)).body.server.status, 'ACTIVE');
  await end(server);
});

test('a guest that does not let go keeps its volume', async () => {
  const [server, volume] = [await boot({ metadata: { 'fake:detachVolume': 'fail' } }), await makeVolume()];
  await serverIs(server, 'ACTIVE');
  const place = `/servers/${server}/os-volume_attachments`;
  await compute(`POST ${place}`, { volumeAttachment: { volumeId: volume } });
  await volumeIs(volume, 'in-use');
  assert.equal((await compute(`DELETE ${place}/${volume}`)).status, 202);
  await waitFor(
    async () => (await compute(`GET /servers/${server}/os-instance-actions`)).body.instanceActions[0].message === 'Error',
    10_000,
    () => 'the detach did not fail',
  );
  await volumeIs(volume, 'in-use');
  assert.equal((await compute(`GET ${place}`)).body.volumeAttachments.length, 1);
  await end(server);
  await volumeIs(volume, 'available');
});

test('servers boot from a volume, a snapshot and an image; roots stay; volumes go with their server when told', async () => {
  const volume = await makeVolume({ imageRef: imageId });
  const { snapshot } = await volumes('POST /snapshots', { snapshot: { volume_id: volume } });
  await waitFor(
    async () => (await volumes(`GET /snapshots/${snapshot.id}`)).snapshot.status === 'available',
    10_000,
    () => 'no snapshot',
  );
  const root = (more: object) => ({ imageRef: '', block_device_mapping_v2: [{ boot_index: 0, destination_type: 'volume', ...more }] });
  const ids = [
    await boot(root({ source_type: 'volume', uuid: volume })),
    await boot(root({ source_type: 'snapshot', uuid: snapshot.id, delete_on_termination: true })),
    await boot(root({ source_type: 'image', uuid: imageId, volume_size: 1, volume_type: 'multiattach', tag: 'root' })),
    await boot({ ...root({ source_type: 'volume', uuid: await makeVolume({ snapshot_id: snapshot.id }) }), imageRef: undefined }, '2.1'),
  ];
  const servers = await Promise.all(ids.map((id) => serverIs(id, 'ACTIVE')));
  for (const server of servers) {
    assert.equal(server.image, '');
    assert.equal(server['os-extended-volumes:volumes_attached'].length, 1);
  }
  assert.equal((await volumes(`GET /volumes/${volume}`)).volume.status, 'in-use');
  const made: string[] = servers.map((server) => server['os-extended-volumes:volumes_attached'][0].id);
  assert.equal(made[0], volume);
  assert.equal((await volumes(`GET /volumes/${made[2]}`)).volume.volume_type, 'multiattach');
  const refused = await compute(`DELETE /servers/${ids[0]}/os-volume_attachments/${volume}`);
  assert.deepEqual([refused.status, refused.body.badRequest.message], [400, 'Cannot detach a root device volume']);
  const usage = await compute('GET /os-hypervisors/detail', undefined, '2.87', admin);
  assert.ok(
    usage.body.hypervisors.every((one: Any) => one.local_gb_used === 0),
    'a volume-backed server takes no disk of its host',
  );
  for (const id of ids) await end(id);
  await volumeIs(volume, 'available');
  await volumeIs(made[1] ?? '', 'gone');
  await volumeIs(made[2] ?? '', 'available');
});

test('data volumes beside an image: existing, blank, by the older syntax too', async () => {
  const volume = await makeVolume();
  const server = await boot({
    block_device_mapping_v2: [
      { source_type: 'image', destination_type: 'local', boot_index: 0, uuid: imageId },
      { source_type: 'volume', uuid: volume, destination_type: 'volume', boot_index: -1 },
      { source_type: 'blank', destination_type: 'volume', volume_size: 2, delete_on_termination: true, tag: 'scratch' },
    ],
  });
  assert.notEqual((await volumes(`GET /volumes/${volume}`)).volume.status, 'available', 'set aside before the answer');
  const shown = await serverIs(server, 'ACTIVE');
  assert.equal(shown.image.id, imageId);
  const { volumeAttachments } = (await compute(`GET /servers/${server}/os-volume_attachments`)).body;
  assert.deepEqual(
    volumeAttachments.map((one: Any) => [one.device, one.tag]),
    [
      ['/dev/vdb', null],
      ['/dev/vdc', 'scratch'],
    ],
  );
  const blank = volumeAttachments[1].volumeId;
  assert.deepEqual([(await volumes(`GET /volumes/${blank}`)).volume.size], [2]);
  await end(server);
  await volumeIs(volume, 'available');
  await volumeIs(blank, 'gone');
  const older = await boot({ block_device_mapping: [{ device_name: 'vdb', volume_id: volume, delete_on_termination: true }] }, '2.1');
  await serverIs(older, 'ACTIVE');
  await end(older);
  await volumeIs(volume, 'gone');
});

test('a volume that cannot be made puts the server into ERROR with the reason, and its delete frees everything', async () => {
  const volume = await makeVolume();
  const server = await boot({
    block_device_mapping_v2: [
      { source_type: 'image', destination_type: 'local', boot_index: 0, uuid: imageId },
      { source_type: 'volume', uuid: volume, destination_type: 'volume' },
      { source_type: 'blank', destination_type: 'volume', volume_size: 100_000 },
    ],
  });
  const failed = await serverIs(server, 'ERROR');
  assert.match(failed.fault.message, /quota/);
  await end(server);
  await volumeIs(volume, 'available');
});

test('one volume of a multiattach type in two servers, from 2.60 on', async () => {
  const volume = await makeVolume({ volume_type: 'multiattach' });
  const servers = [await boot(), await boot()];
  for (const id of servers) await serverIs(id, 'ACTIVE');
  const attach = (id: string | undefined, at: string) =>
    compute(`POST /servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId: volume } }, at);
  assert.equal((await attach(servers[0], '2.59')).status, 400);
  for (const id of servers) assert.equal((await attach(id, '2.60')).status, 200);
  await waitFor(
    async () => (await volumes(`GET /volumes/${volume}`)).volume.attachments.length === 2,
    10_000,
    () => 'not in both',
  );
  // What hypervisors are told: by this alone they let a second guest write to it.
  const db = new DatabaseSync(join(house.dataDir, 'cloud.db'), { readOnly: true });
  const connections = () => db.prepare('SELECT connection FROM block_devices WHERE volume_id = ? AND connection IS NOT NULL').all(volume);
  await waitFor(
    () => connections().length === 2,
    10_000,
    () => 'not connected in both',
  );
  for (const row of connections()) assert.equal(JSON.parse(String(row.connection)).multiattach, true);
  db.close();
  for (const id of servers) await end(id);
  await volumeIs(volume, 'available');
});

test('servers that are deleted while their volumes are made or attached leave nothing behind', async () => {
  const before = (await volumes('GET /volumes')).volumes.length;
  const kept = await Promise.all(Array.from({ length: 6 }, () => makeVolume()));
  const root = {
    source_type: 'image',
    uuid: imageId,
    destination_type: 'volume',
    volume_size: 1,
    boot_index: 0,
    delete_on_termination: true,
  };
  const built = await Promise.all(
    kept.map((volume) =>
      boot({ block_device_mapping_v2: [root, { source_type: 'volume', uuid: volume, destination_type: 'volume' }], imageRef: '' }),
    ),
  );
  await Promise.all(
    built.map(async (id, at) => {
      await new Promise((resolve) => setTimeout(resolve, at * 10)); // each is caught somewhere else on its way
      await end(id);
    }),
  );
  for (const volume of kept) await volumeIs(volume, 'available');
  await waitFor(
    async () => (await volumes('GET /volumes')).volumes.length === before + kept.length,
    10_000,
    () => 'volumes were left',
  );
  const { attachments } = await volumes('GET /attachments');
  assert.deepEqual(
    attachments.filter((one: Any) => built.includes(one.instance)),
    [],
  );
});

test('what cannot be is refused with 400 before anything is made', async () => {
  const v = await makeVolume();
  const device = (more: object) => ({ source_type: 'volume', destination_type: 'volume', uuid: v, boot_index: 0, ...more });
  const cases: readonly (readonly [string, object, string?])[] = [
    ['no boot index', { imageRef: '', block_device_mapping_v2: [device({ boot_index: 1 })] }],
    ['a volume that is not bootable', { imageRef: '', block_device_mapping_v2: [device({})] }],
    ['two syntaxes', { block_device_mapping: [{ volume_id: v }], block_device_mapping_v2: [device({ boot_index: null })] }],
    ['a volume for many', { max_count: 2, min_count: 2, block_device_mapping_v2: [device({ boot_index: null })] }],
    ['a volume on the local disk', { block_device_mapping_v2: [device({ destination_type: 'local' })] }],
    ['an unknown volume', { block_device_mapping_v2: [device({ uuid: imageId, boot_index: null })] }],
    ['a blank volume without size', { block_device_mapping_v2: [{ source_type: 'blank', destination_type: 'volume' }] }],
    ['an image to a volume without size', { imageRef: '', block_device_mapping_v2: [device({ source_type: 'image', uuid: imageId })] }],
    ['a type of an existing volume', { block_device_mapping_v2: [device({ volume_type: 'multiattach', boot_index: null })] }],
    [
      'an unknown type',
      { block_device_mapping_v2: [{ source_type: 'blank', destination_type: 'volume', volume_size: 1, volume_type: 'x' }] },
    ],
    ['a swap disk the flavor has not', { block_device_mapping_v2: [{ source_type: 'blank', guest_format: 'swap', volume_size: 1 }] }],
    ['no image at all', { imageRef: '' }],
    ['volume_type before 2.67', { block_device_mapping_v2: [device({ volume_type: 'x' })] }, '2.66'],
  ];
  for (const [what, more, at] of cases) {
    const answer = await compute('POST /servers', wish(more), at);
    assert.equal(answer.status, 400, `${what}: ${JSON.stringify(answer.body)}`);
  }
  await volumeIs(v, 'available');
});

test('the old faces: os-volumes and os-snapshots to 2.35, os-volumes_boot to 2.102', async () => {
  const made = await compute('POST /os-volumes', { volume: { size: 1, display_name: 'old' } }, '2.1');
  assert.equal(made.status, 200);
  const { id } = made.body.volume;
  assert.equal((await compute('GET /os-volumes', undefined, '2.36')).status, 404);
  await volumeIs(id, 'available');
  const shown = (await compute(`GET /os-volumes/${id}`, undefined, '2.35')).body.volume;
  assert.deepEqual([shown.displayName, shown.status, shown.size], ['old', 'available', 1]);
  const snap = await compute('POST /os-snapshots', { snapshot: { volume_id: id, display_name: 's' } }, '2.1');
  assert.equal(snap.status, 200);
  const snapshotId = snap.body.snapshot.id;
  assert.ok((await compute('GET /os-snapshots/detail', undefined, '2.1')).body.snapshots.some((one: Any) => one.id === snapshotId));
  await waitFor(
    async () => (await volumes(`GET /snapshots/${snapshotId}`)).snapshot.status === 'available',
    10_000,
    () => 'no snapshot',
  );
  assert.equal((await compute(`DELETE /os-snapshots/${snapshotId}`, undefined, '2.1')).status, 202);
  await waitFor(
    async () => (await compute(`GET /os-snapshots/${snapshotId}`, undefined, '2.1')).status === 404,
    10_000,
    () => 'it stays',
  );
  assert.equal((await compute(`DELETE /os-volumes/${id}`, undefined, '2.1')).status, 202);
  const alias = await compute('POST /os-volumes_boot', wish(), '2.102');
  assert.equal(alias.status, 202);
  assert.equal((await compute(`GET /os-volumes_boot/${alias.body.server.id}`, undefined, '2.103')).status, 404);
  assert.equal((await compute(`GET /os-volumes_boot/${alias.body.server.id}`, undefined, '2.102')).status, 200);
  await end(alias.body.server.id);
});
