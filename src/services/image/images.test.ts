import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ImageHouse, openImageHouse, projects } from './image-test-house.ts';

describe('images over HTTP', () => {
  let house: ImageHouse;
  before(async () => {
    house = await openImageHouse();
  });
  after(() => house.close());

  test('versions: 300 at the root, 200 by name, none of them needs a token', async () => {
    const root = await house.ask(null, 'GET', '/');
    assert.equal(root.status, 300);
    assert.equal(root.body.versions[0].status, 'CURRENT');
    assert.equal(root.body.versions.at(-1).id, 'v2.0');
    assert.equal(root.body.versions[0].links[0].href, `${house.url()}/v2/`);
    assert.equal((await house.ask(null, 'GET', '')).status, 300);
    assert.equal((await house.ask(null, 'GET', '/versions')).status, 200);
  });

  test('without a token 401, a wrong path 404, a wrong method 405 with Allow', async () => {
    const anonymous = await house.ask(null, 'GET', '/v2/images');
    assert.equal(anonymous.status, 401);
    assert.match(anonymous.headers.get('www-authenticate') ?? '', /^Keystone uri=/);
    assert.equal((await house.ask('ann', 'GET', '/v2/nothing')).status, 404);
    const wrong = await house.ask('ann', 'PATCH', '/v2/images', '[]');
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'GET, POST');
  });

  test('create, show, delete; the answer has every field', async () => {
    const made = await house.ask('ann', 'POST', '/v2/images', {
      name: 'cirros',
      disk_format: 'qcow2',
      container_format: 'bare',
      min_ram: 64,
      min_disk: 1,
      tags: ['b', 'a', 'b'],
      hw_disk_bus: 'virtio',
      kernel_id: '3d9a24c5-3b1f-4c2d-9a64-5d0d4b1f5a11',
    });
    assert.equal(made.status, 201);
    const { id, created_at, updated_at, ...rest } = made.body;
    assert.equal(made.headers.get('location'), `${house.url()}/v2/images/${id}`);
    assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.equal(updated_at, created_at);
    assert.deepEqual(rest, {
      hw_disk_bus: 'virtio',
      kernel_id: '3d9a24c5-3b1f-4c2d-9a64-5d0d4b1f5a11',
      name: 'cirros',
      disk_format: 'qcow2',
      container_format: 'bare',
      visibility: 'shared',
      size: null,
      virtual_size: null,
      status: 'queued',
      checksum: null,
      protected: false,
      min_ram: 64,
      min_disk: 1,
      owner: projects.ann,
      os_hidden: false,
      os_hash_algo: null,
      os_hash_value: null,
      tags: ['a', 'b'],
      self: `/v2/images/${id}`,
      file: `/v2/images/${id}/file`,
      schema: '/v2/schemas/image',
    });
    assert.deepEqual((await house.ask('ann', 'GET', `/v2/images/${id}`)).body, made.body);
    const head = await house.ask('ann', 'HEAD', `/v2/images/${id}`);
    assert.deepEqual([head.status, head.text], [200, '']);
    assert.equal((await house.ask('ann', 'DELETE', `/v2/images/${id}`)).status, 204);
    assert.equal((await house.ask('ann', 'DELETE', `/v2/images/${id}`)).status, 404);
    const gone = await house.ask('ann', 'GET', `/v2/images/${id}`);
    assert.equal(gone.status, 404);
    assert.match(gone.text, new RegExp(`<title>404 Not Found</title>[\\s\\S]*No image found with ID ${id}<br />`));
  });

  test('an id given by the client is taken once, even after a delete', async () => {
    const id = '0b0c8a14-6e0e-4d51-8b46-0dbb0c0f9a01';
    assert.equal(await house.create('ann', { id }), id);
    const again = await house.ask('bob', 'POST', '/v2/images', { id });
    assert.equal(again.status, 409);
    assert.match(again.text, /already exists!/);
    await house.ask('ann', 'DELETE', `/v2/images/${id}`);
    assert.equal((await house.ask('ann', 'POST', '/v2/images', { id })).status, 409);
    const both = await Promise.all(
      ['ann', 'bob'].map((who) => house.ask(who, 'POST', '/v2/images', { id: '0b0c8a14-6e0e-4d51-8b46-0dbb0c0f9a02' })),
    );
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409]);
  });

  test('values that do not fit are a 400, names that are not the user’s a 403', async () => {
    for (const body of [
      { name: 5 },
      { name: 'x'.repeat(256) },
      { disk_format: 'floppy' },
      { container_format: 'box' },
      { visibility: 'secret' },
      { protected: 'true' },
      { min_ram: -1 },
      { min_disk: 1.5 },
      { min_disk: 2 ** 31 },
      { tags: 'a' },
      { tags: ['x'.repeat(256)] },
      { id: 'no-uuid' },
      { hw_x: 7 },
      { ['x'.repeat(256)]: 'long name' },
      { '': 'no name' },
      [],
      null,
      'text',
    ]) {
      const answer = await house.ask('ann', 'POST', '/v2/images', body === 'text' ? '{"broken' : body);
      assert.equal(answer.status, 400, JSON.stringify(body));
      assert.match(answer.text, /^<html>/);
    }
    for (const name of ['status', 'size', 'checksum', 'self', 'created_at', 'os_hash_value', 'direct_url'])
      assert.match((await house.ask('ann', 'POST', '/v2/images', { [name]: 'x' })).text, /403 Forbidden[\s\S]*is read-only/);
    for (const name of ['location', 'deleted', 'locations', 'os_glance_import_task'])
      assert.match((await house.ask('ann', 'POST', '/v2/images', { [name]: 'x' })).text, /403 Forbidden[\s\S]*is reserved/);
    const many = Object.fromEntries(Array.from({ length: 129 }, (_, n) => [`p${n}`, '']));
    assert.equal((await house.ask('ann', 'POST', '/v2/images', many)).status, 413);
    assert.equal((await house.ask('ann', 'POST', '/v2/images', { tags: Array.from({ length: 129 }, (_, n) => `t${n}`) })).status, 413);
  });

  test('markup in a message comes back escaped', async () => {
    const answer = await house.ask('ann', 'POST', '/v2/images', { visibility: '<script>&' });
    assert.match(answer.text, /&lt;script&gt;&amp;/);
    assert.doesNotMatch(answer.text, /<script>/);
  });

  test('patch: add, replace and remove, all or nothing', async () => {
    const id = await house.create('ann', { hw_old: '1', hw_keep: '2' });
    const done = await house.patch('ann', id, [
      { op: 'replace', path: '/name', value: 'new' },
      { op: 'add', path: '/os_distro', value: 'debian' },
      { op: 'add', path: '/hw_keep', value: '3' },
      { op: 'remove', path: '/hw_old' },
      { op: 'replace', path: '/tags', value: ['x'] },
      { op: 'add', path: '/a~1b~0c', value: 'slash' },
      { op: 'replace', path: '/os_hidden', value: true },
    ]);
    assert.equal(done.status, 200);
    const shown = (await house.ask('ann', 'GET', `/v2/images/${id}`)).body;
    assert.deepEqual(
      [shown.name, shown.os_distro, shown.hw_keep, shown.hw_old, shown.tags, shown['a/b~c'], shown.os_hidden],
      ['new', 'debian', '3', undefined, ['x'], 'slash', true],
    );
    const half = [
      { op: 'replace', path: '/name', value: 'half' },
      { op: 'replace', path: '/absent', value: 'x' },
    ];
    assert.equal((await house.patch('ann', id, half)).status, 409);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}`)).body.name, 'new');
    assert.equal((await house.patch('ann', id, [{ op: 'remove', path: '/absent' }])).status, 409);
    assert.equal((await house.patch('ann', id, [{ op: 'remove', path: '/name' }])).status, 403);
    assert.equal((await house.patch('ann', id, [{ op: 'replace', path: '/status', value: 'active' }])).status, 403);
    assert.equal((await house.patch('ann', id, [{ op: 'replace', path: '/id', value: 'x' }])).status, 403);
    assert.equal((await house.patch('ann', id, [{ op: 'replace', path: '/locations', value: [] }])).status, 403);
    assert.equal((await house.patch('ann', id, [{ op: 'replace', path: '/owner', value: projects.bob }])).status, 403);
    for (const bad of [
      { op: 'move', path: '/name', value: 'x' },
      { op: 'add', path: 'name', value: 'x' },
      { op: 'add', path: '/', value: 'x' },
      { op: 'add', path: '/a/b', value: 'x' },
      { op: 'add', path: '/a~2', value: 'x' },
      { op: 'add', path: '/name' },
      { path: '/name', value: 'x' },
      { op: 'replace', path: '/min_ram', value: 'many' },
      7,
    ])
      assert.equal((await house.patch('ann', id, [bad])).status, 400, JSON.stringify(bad));
    assert.equal((await house.patch('ann', id, { op: 'add' })).status, 400);
    assert.equal((await house.ask('ann', 'PATCH', `/v2/images/${id}`, [], { 'content-type': 'application/json' })).status, 415);
  });

  test('patch in its older form refuses to add what is there', async () => {
    const id = await house.create('ann', { colour: 'red' });
    assert.equal((await house.patch('ann', id, [{ add: '/colour', value: 'blue' }], '2.0')).status, 409);
    assert.equal((await house.patch('ann', id, [{ replace: '/colour', value: 'blue' }], '2.0')).body.colour, 'blue');
    assert.equal((await house.patch('ann', id, [{ replace: '/colour', add: '/x', value: 'blue' }], '2.0')).status, 400);
  });

  test('patches at once do not lose each other', async () => {
    const id = await house.create('ann');
    await Promise.all(Array.from({ length: 20 }, (_, n) => house.patch('ann', id, [{ op: 'add', path: `/p${n}`, value: String(n) }])));
    const shown = (await house.ask('ann', 'GET', `/v2/images/${id}`)).body;
    for (let n = 0; n < 20; n++) assert.equal(shown[`p${n}`], String(n));
  });

  test('tags', async () => {
    const id = await house.create('ann');
    assert.equal((await house.ask('ann', 'PUT', `/v2/images/${id}/tags/green%20one`)).status, 204);
    assert.equal((await house.ask('ann', 'PUT', `/v2/images/${id}/tags/green%20one`)).status, 204);
    assert.deepEqual((await house.ask('ann', 'GET', `/v2/images/${id}`)).body.tags, ['green one']);
    assert.equal((await house.ask('ann', 'PUT', `/v2/images/${id}/tags/${'x'.repeat(256)}`)).status, 400);
    assert.equal((await house.ask('ann', 'DELETE', `/v2/images/${id}/tags/green%20one`)).status, 204);
    assert.equal((await house.ask('ann', 'DELETE', `/v2/images/${id}/tags/green%20one`)).status, 404);
  });

  test('a protected image stays; an unprotected one goes', async () => {
    const id = await house.create('ann', { protected: true });
    const kept = await house.ask('ann', 'DELETE', `/v2/images/${id}`);
    assert.match(kept.text, /403 Forbidden[\s\S]*is protected and cannot be deleted/);
    await house.patch('ann', id, [{ op: 'replace', path: '/protected', value: false }]);
    assert.equal((await house.ask('ann', 'DELETE', `/v2/images/${id}`)).status, 204);
  });

  test('deactivate withholds the data, reactivate gives it free', async () => {
    const id = await house.create('ann');
    assert.match(
      (await house.ask('ann', 'POST', `/v2/images/${id}/actions/deactivate`)).text,
      /403 Forbidden[\s\S]*Not allowed to deactivate image in status 'queued'/,
    );
    await house.upload('ann', id, 'data');
    assert.equal((await house.ask('ann', 'POST', `/v2/images/${id}/actions/deactivate`)).status, 204);
    assert.equal((await house.ask('ann', 'POST', `/v2/images/${id}/actions/deactivate`)).status, 204);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}`)).body.status, 'deactivated');
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}/file`)).status, 403);
    assert.equal((await house.ask('admin', 'GET', `/v2/images/${id}/file`)).text, 'data');
    assert.equal((await house.ask('ann', 'POST', `/v2/images/${id}/actions/reactivate`)).status, 204);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}/file`)).text, 'data');
  });

  test('what is not built says so: staging, import, stores', async () => {
    const id = await house.create('ann');
    const staged = await house.ask('ann', 'PUT', `/v2/images/${id}/stage`, 'data', { 'content-type': 'application/octet-stream' });
    assert.equal(staged.status, 405);
    for (const name of ['glance-direct', 'web-download']) {
      const refused = await house.ask('ann', 'POST', `/v2/images/${id}/import`, { method: { name } });
      assert.match(refused.text, new RegExp(`400 Bad Request[\\s\\S]*Unsupported import method '${name}'`));
    }
    assert.deepEqual((await house.ask('ann', 'GET', '/v2/info/import')).body['import-methods'].value, []);
    assert.equal((await house.ask('ann', 'GET', '/v2/info/stores')).status, 404);
    assert.deepEqual((await house.ask('ann', 'GET', `/v2/images/${id}/tasks`)).body, { tasks: [] });
    assert.equal((await house.ask('bob', 'GET', `/v2/images/${id}/tasks`)).status, 404);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}`)).body.status, 'queued');
  });

  test('schemas name themselves', async () => {
    for (const name of ['image', 'images', 'member', 'members'])
      assert.equal((await house.ask('ann', 'GET', `/v2/schemas/${name}`)).body.name, name);
  });
});
