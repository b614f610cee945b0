import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newUuid } from '../../src/lib/ids.ts';
import { lostCommits } from '../support/lost-commits.ts';
import { openVolumeHouse, projects, type VolumeHouse } from './house.ts';

const commits = lostCommits();
let house: VolumeHouse;
before(async () => {
  house = await openVolumeHouse({ between: commits.between });
});
after(() => house.close());
const act = (who: string, id: string, action: object, at?: string) =>
  house.ask(who, `POST /v3/volumes/${id}/action`, action, at === undefined ? {} : { at });
const GIB = 1024 ** 3;

test('versions are told to everybody, microversions are negotiated, foreign projects in the URL are refused', async () => {
  const all = await house.ask(null, 'GET /');
  assert.equal(all.status, 300);
  assert.deepEqual([all.body.versions[0].id, all.body.versions[0].min_version, all.body.versions[0].version], ['v3.0', '3.0', '3.70']);
  assert.equal((await house.ask(null, 'GET /v3/')).status, 200);
  assert.equal((await house.ask(null, 'GET /v3/volumes')).status, 401);
  assert.equal((await house.ask('ann', 'GET /v3/volumes', undefined, { at: '3.99' })).status, 406);
  const old = await house.ask('ann', `GET /v3/${projects.ann}/attachments`, undefined, { at: '3.26' });
  assert.equal(old.status, 404);
  assert.equal((await house.ask('ann', `GET /v3/${projects.bob}/volumes`)).status, 400);
  assert.equal((await house.ask('service', `GET /v3/${projects.bob}/volumes`)).status, 200);
});

test('a volume is made, is a sparse private file, changes, grows and goes; only its project and admins see it', async () => {
  const made = await house.ask('ann', 'POST /v3/volumes', { volume: { size: '1', name: 'v', metadata: { a: 'b' } } }, { at: '3.0' });
  assert.equal(made.status, 202);
  assert.equal(made.body.volume.status, 'creating');
  assert.equal(made.body.volume.volume_type_id, undefined, 'not before 3.63');
  const { id } = made.body.volume;
  await house.idle();
  const shown = await house.show(id, 'ann');
  assert.deepEqual(
    [shown.status, shown.size, shown.bootable, shown.volume_type, shown.metadata],
    ['available', 1, 'false', '__DEFAULT__', { a: 'b' }],
  );
  const file = await stat(join(house.dir, 'volumes', `volume-${id}`));
  assert.deepEqual([file.size, file.mode & 0o777], [GIB, 0o600]);
  assert.ok(file.blocks < 100);
  assert.equal((await house.ask('bob', `GET /v3/volumes/${id}`)).status, 404);
  assert.equal((await house.ask('annReads', `PUT /v3/volumes/${id}`, { volume: { name: 'x' } })).status, 403);
  assert.equal((await house.ask('ann', `PUT /v3/volumes/${id}`, { volume: { name: 'w' } })).body.volume.name, 'w');
  const found = await house.ask('ann', `GET /v3/volumes/detail?name=w&metadata=${encodeURIComponent("{'a': 'b'}")}&with_count=true`);
  assert.deepEqual([found.body.volumes.length, found.body.count], [1, 1]);
  assert.deepEqual((await house.ask('ann', `GET /v3/volumes?metadata=${encodeURIComponent("{'a': 'c'}")}`)).body.volumes, []);
  assert.equal((await act('ann', id, { 'os-extend': { new_size: 1 } })).status, 400);
  assert.equal((await act('ann', id, { 'os-extend': { new_size: 3 } })).status, 202);
  await house.idle();
  assert.equal((await house.show(id)).size, 3);
  assert.equal((await stat(join(house.dir, 'volumes', `volume-${id}`))).size, 3 * GIB);
  assert.equal((await act('ann', id, { 'os-reset_status': { status: 'error' } })).status, 403);
  assert.equal((await act('admin', id, { 'os-reset_status': { status: 'error' } })).status, 202);
  assert.equal((await house.ask('ann', `DELETE /v3/volumes/${id}`)).status, 202);
  await house.idle();
  assert.equal((await house.ask('ann', `GET /v3/volumes/${id}`)).status, 404);
  await assert.rejects(stat(join(house.dir, 'volumes', `volume-${id}`)));
});

test('snapshots and clones carry the data, keep their volume, and cascade with it', async () => {
  const id = await house.volume('ann');
  await writeFile(join(house.dir, 'volumes', `volume-${id}`), 'what it holds', { flag: 'r+' });
  const snap = await house.ask('ann', 'POST /v3/snapshots', { snapshot: { volume_id: id, name: 's' } });
  assert.deepEqual([snap.status, snap.body.snapshot.status], [202, 'creating']);
  await house.idle();
  const { id: snapshot } = snap.body.snapshot;
  assert.equal((await house.ask('ann', `GET /v3/snapshots/${snapshot}`)).body.snapshot.status, 'available');
  const read = async (volume: string) => {
    const { open } = await import('node:fs/promises');
    const handle = await open(join(house.dir, 'volumes', `volume-${volume}`));
    const { buffer } = await handle.read(Buffer.alloc(13), 0, 13, 0);
    await handle.close();
    return buffer.toString();
  };
  const small = await house.ask('ann', 'POST /v3/volumes', { volume: { snapshot_id: snapshot, source_volid: id } });
  assert.equal(small.status, 400);
  const fromSnapshot = await house.volume('ann', { size: 2, snapshot_id: snapshot });
  const clone = await house.volume('ann', { size: null, source_volid: id });
  assert.deepEqual([await read(fromSnapshot), await read(clone)], ['what it holds', 'what it holds']);
  await writeFile(join(house.dir, 'volumes', `volume-${id}`), 'something els', { flag: 'r+' });
  assert.equal((await act('ann', id, { revert: { snapshot_id: snapshot } })).status, 202);
  await house.idle();
  assert.equal(await read(id), 'what it holds');
  assert.match((await house.ask('ann', `DELETE /v3/volumes/${id}`)).body.badRequest.message, /have snapshots/);
  assert.equal((await house.ask('ann', `DELETE /v3/volumes/${id}?cascade=true`)).status, 202);
  await house.idle();
  assert.equal((await house.ask('ann', `GET /v3/snapshots/${snapshot}`)).status, 404);
  for (const one of [fromSnapshot, clone]) assert.equal((await house.ask('ann', `DELETE /v3/volumes/${one}`)).status, 202);
  await house.idle();
});

test('attachments: reserved, attaching, attached; states follow them; multiattach by type; a service’s are its own', async () => {
  const id = await house.volume('ann');
  const [one, two] = [newUuid(), newUuid()];
  const reserve = (who: string, volume: string, server: string) =>
    house.ask(who, 'POST /v3/attachments', { attachment: { volume_uuid: volume, instance_uuid: server } });
  const first = await reserve('service', id, one);
  assert.equal(first.status, 200);
  assert.equal(first.body.attachment.status, 'reserved');
  assert.equal((await house.show(id)).status, 'reserved');
  assert.equal((await reserve('ann', id, two)).status, 400);
  const place = `/v3/attachments/${first.body.attachment.id}`;
  const joined = await house.ask('service', `PUT ${place}`, { attachment: { connector: { host: 'h', mountpoint: '/dev/vdb' } } });
  assert.equal(joined.body.attachment.connection_info.driver_volume_type, 'file');
  assert.equal(joined.body.attachment.connection_info.device_path, join(house.dir, 'volumes', `volume-${id}`));
  assert.equal((await house.show(id)).status, 'attaching');
  assert.equal((await house.ask('service', `POST ${place}/action`, { 'os-complete': {} })).status, 204);
  const shown = await house.show(id, 'ann');
  assert.equal(shown.status, 'in-use');
  assert.deepEqual([shown.attachments[0].server_id, shown.attachments[0].device, shown.attachments[0].host_name], [one, '/dev/vdb', null]);
  assert.equal((await house.ask('ann', `DELETE ${place}`)).status, 409);
  assert.equal((await act('ann', id, { 'os-begin_detaching': {} })).status, 202);
  assert.equal((await act('ann', id, { 'os-begin_detaching': {} })).status, 400);
  assert.equal((await act('ann', id, { 'os-roll_detaching': {} })).status, 202);
  assert.equal((await act('ann', id, { 'os-extend': { new_size: 2 } }, '3.41')).status, 400);
  assert.equal((await act('ann', id, { 'os-extend': { new_size: 2 } }, '3.42')).status, 202);
  await house.idle();
  assert.deepEqual([(await house.show(id)).status, house.grown.at(-1)], ['in-use', id]);
  assert.deepEqual((await house.ask('service', `DELETE ${place}`)).body, { attachments: [] });
  assert.equal((await house.show(id)).status, 'available');

  const shared = await house.volume('ann', { volume_type: 'multiattach' });
  assert.equal((await house.show(shared)).multiattach, true);
  const both = [await reserve('ann', shared, one), await reserve('ann', shared, two)];
  for (const { body } of both) {
    await house.ask('ann', `PUT /v3/attachments/${body.attachment.id}`, { attachment: { connector: { host: 'h' } } });
    await house.ask('ann', `POST /v3/attachments/${body.attachment.id}/action`, { 'os-complete': null });
  }
  assert.equal((await house.show(shared)).attachments.length, 2);
  assert.equal((await act('ann', shared, { 'os-detach': {} })).status, 400);
  for (const { body } of both) assert.equal((await act('ann', shared, { 'os-detach': { attachment_id: body.attachment.id } })).status, 202);
  assert.equal((await house.show(shared)).status, 'available');
  assert.equal((await act('ann', shared, { 'os-attach': { instance_uuid: one, mountpoint: '/dev/vdc' } })).status, 202);
  assert.equal((await house.show(shared)).status, 'in-use');
  assert.equal((await act('ann', shared, { 'os-detach': {} })).status, 202);
});

test('of many requests at once exactly as many are taken as the quota has room for', async () => {
  const limits = { volumes: 3, gigabytes: 100 };
  assert.equal((await house.ask('admin', `PUT /v3/os-quota-sets/${projects.bob}`, { quota_set: limits })).status, 200);
  const asked = await Promise.all(Array.from({ length: 10 }, () => house.ask('bob', 'POST /v3/volumes', { volume: { size: 1 } })));
  assert.equal(asked.filter(({ status }) => status === 202).length, 3);
  const refused = asked.find(({ status }) => status === 413);
  assert.match(refused?.body.overLimit.message, /Maximum number of volumes allowed \(3\)/);
  await house.idle();
  const { quota_set } = (await house.ask('bob', `GET /v3/os-quota-sets/${projects.bob}?usage=True`)).body;
  assert.deepEqual([quota_set.volumes, quota_set.gigabytes.in_use], [{ limit: 3, in_use: 3, reserved: 0 }, 3]);
  const { volumes } = (await house.ask('bob', 'GET /v3/volumes')).body;
  const page = (await house.ask('bob', 'GET /v3/volumes?limit=2')).body;
  assert.equal(page.volumes.length, 2);
  const next = (await fetch(page.volumes_links[0].href, { headers: { 'x-auth-token': 'bob' } })).json() as Promise<{
    volumes: { id: string }[];
  }>;
  assert.deepEqual(
    (await next).volumes.map(({ id }) => id),
    [volumes[2].id],
  );
  await house.ask('admin', `PUT /v3/os-quota-sets/${projects.bob}`, { quota_set: { volumes: 10, gigabytes: 4 } });
  const big = await house.ask('bob', 'POST /v3/volumes', { volume: { size: 2 } });
  assert.match(big.body.overLimit.message, /Requested 2G, quota is 4G and 3G has been consumed/);
  for (const { id } of volumes) await house.ask('bob', `DELETE /v3/volumes/${id}`);
  await house.idle();
  assert.equal((await house.ask('bob', 'GET /v3/limits')).body.limits.absolute.totalGigabytesUsed, 0);
  assert.equal((await house.ask('admin', `PUT /v3/os-quota-sets/${projects.bob}`, { quota_set: { bananas: 1 } })).status, 400);
});

test('the same Idempotency-Key makes one volume', async () => {
  const create = (size: number) => house.ask('ann', 'POST /v3/volumes', { volume: { size } }, { key: 'once' });
  const answers = await Promise.all([create(1), create(1), create(1)]);
  assert.equal(new Set(answers.map(({ body }) => body.volume.id)).size, 1);
  assert.equal((await create(2)).status, 409);
  await house.idle();
});

test('types: extra specs, access, in use; seeded ones come once', async () => {
  const made = await house.ask('admin', 'POST /v3/types', { volume_type: { name: 'gold', 'os-volume-type-access:is_public': false } });
  assert.equal(made.status, 200);
  const { id } = made.body.volume_type;
  assert.equal((await house.ask('admin', 'POST /v3/types', { volume_type: { name: 'gold' } })).status, 409);
  assert.equal((await house.ask('ann', 'POST /v3/types', { volume_type: { name: 'mine' } })).status, 403);
  assert.equal((await house.ask('ann', `GET /v3/types/${id}`)).status, 404);
  assert.equal((await house.ask('ann', 'POST /v3/volumes', { volume: { size: 1, volume_type: 'gold' } })).status, 404);
  await house.ask('admin', `POST /v3/types/${id}/action`, { addProjectAccess: { project: projects.ann } });
  await house.ask('admin', `POST /v3/types/${id}/extra_specs`, { extra_specs: { speed: 'high' } });
  assert.deepEqual((await house.ask('ann', `GET /v3/types/${id}`)).body.volume_type.extra_specs, { speed: 'high' });
  const volume = await house.volume('ann', { volume_type: 'gold' });
  assert.equal((await house.ask('admin', `DELETE /v3/types/${id}`)).status, 400);
  assert.equal((await act('ann', volume, { 'os-retype': { new_type: 'multiattach' } })).status, 202);
  assert.equal((await house.show(volume)).multiattach, true);
  assert.equal((await act('ann', volume, { 'os-retype': { new_type: 'multiattach' } })).status, 400);
  assert.equal((await house.ask('admin', `DELETE /v3/types/${id}`)).status, 202);
  assert.equal((await house.ask('ann', 'GET /v3/types/default')).body.volume_type.name, '__DEFAULT__');
});

test('what a killed process left half done is done by the next', async () => {
  const id = await house.volume('ann');
  const gone = await house.volume('ann');
  await house.restart(async () => {
    const { rm } = await import('node:fs/promises');
    await rm(join(house.dir, 'volumes', `volume-${id}`));
    await writeFile(join(house.dir, 'volumes', `volume-${id}.part`), 'half');
    await house.db.transaction(async (tx) => {
      await tx.updateTable('volumes').set({ status: 'creating' }).where('uuid', '=', id).execute();
      await tx.updateTable('volumes').set({ status: 'deleting' }).where('uuid', '=', gone).execute();
      for (const [kind, target] of [
        ['create-volume', id],
        ['delete-volume', gone],
      ] as const)
        await tx
          .insertInto('volume_tasks')
          .values({ uuid: newUuid(), kind, target, arguments: '{}', owner: 'dead', leased_until: Number.MAX_SAFE_INTEGER, created_at: 1 })
          .execute();
    });
  });
  const deadline = performance.now() + 10_000;
  while ((await house.show(id)).status !== 'available' || (await house.show(gone)) !== undefined) {
    assert.ok(performance.now() < deadline, 'the work was not taken up');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal((await stat(join(house.dir, 'volumes', `volume-${id}`))).size, GIB);
  await assert.rejects(stat(join(house.dir, 'volumes', `volume-${id}.part`)));
});

test('what goes wrong behind a request stands in the state and in a message', async () => {
  const source = await house.volume('ann');
  const { rm } = await import('node:fs/promises');
  await rm(join(house.dir, 'volumes', `volume-${source}`));
  const id = await house.volume('ann', { source_volid: source });
  assert.equal((await house.show(id)).status, 'error');
  const { messages } = (await house.ask('ann', `GET /v3/messages?resource_uuid=${id}`)).body;
  assert.equal(messages.length, 1);
  assert.match(messages[0].user_message, /create: /);
  assert.doesNotMatch(messages[0].user_message, /kilonova-volume-/, 'no path of the host');
});

test('a task that was written down as done though the answer was lost is no failure: nothing is given back for it', async () => {
  const used = async () => (await house.ask('ann', `GET /v3/os-quota-sets/${projects.ann}?usage=true`)).body.quota_set.gigabytes.in_use;
  const id = await house.volume('ann');
  const before = await used();
  commits.loseWhen(async (db) => {
    const row = await db.selectFrom('volumes').select('size').where('uuid', '=', id).executeTakeFirst();
    return row?.size === 3;
  });
  assert.equal((await act('ann', id, { 'os-extend': { new_size: 3 } })).status, 202);
  await house.idle();
  assert.equal(commits.waits(), false);
  const { status, size } = await house.show(id);
  assert.deepEqual([status, size, (await used()) - before], ['available', 3, 2]);
});

const bad: readonly (readonly [what: string, body: unknown, status: number])[] = [
  ['no size', { volume: {} }, 400],
  ['size 0', { volume: { size: 0 } }, 400],
  ['a size that is none', { volume: { size: 'big' } }, 400],
  ['no object', {}, 400],
  ['a list', [], 400],
  ['a name too long', { volume: { size: 1, name: 'n'.repeat(256) } }, 400],
  ['metadata that is no text', { volume: { size: 1, metadata: { a: 1 } } }, 400],
  ['an unknown zone', { volume: { size: 1, availability_zone: 'mars' } }, 400],
  ['an unknown snapshot', { volume: { size: 1, snapshot_id: newUuid() } }, 404],
  ['an unknown source', { volume: { size: 1, source_volid: newUuid() } }, 404],
  ['an unknown type', { volume: { size: 1, volume_type: 'none' } }, 404],
];
for (const [what, body, status] of bad)
  test(`a volume with ${what} is refused with ${status}`, async () => {
    const answer = await house.ask('ann', 'POST /v3/volumes', body);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
  });
