import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ImageHouse, openImageHouse } from './image-test-house.ts';

describe('hostile requests', () => {
  let house: ImageHouse;
  before(async () => {
    house = await openImageHouse();
  });
  after(() => house.close());
  const odd: unknown[] = [
    null,
    true,
    0,
    -1,
    1e308,
    2 ** 53,
    '',
    'x',
    'x'.repeat(70_000),
    '\u0000',
    '\ud800',
    [],
    [[]],
    {},
    { a: { b: 1 } },
  ];
  const fields =
    'name visibility disk_format container_format protected os_hidden min_ram min_disk owner tags id status size checksum virtual_size locations hw_x __proto__ constructor toString os_hash_algo stores'.split(
      ' ',
    );

  test('any value in any field of a create or a patch is answered below 500', async () => {
    const id = await house.create('ann');
    for (const field of fields)
      for (const value of odd) {
        const text = `{${JSON.stringify(field)}:${JSON.stringify(value)}}`;
        const made = await house.ask('ann', 'POST', '/v2/images', text, { 'content-type': 'application/json' });
        assert.ok(made.status < 500, `${text.slice(0, 100)}: ${made.status} ${made.text}`);
        if (made.status === 201) assert.equal((await house.ask('ann', 'GET', `/v2/images/${made.body.id}`)).status, 200);
        for (const op of value === null ? ['add', 'replace', 'remove'] : ['add']) {
          const patched = await house.patch('ann', id, [{ op, path: `/${field}`, value }]);
          assert.ok(patched.status < 500, `${op} ${text.slice(0, 100)}: ${patched.status} ${patched.text}`);
        }
      }
  });

  test('broken bodies, paths, queries and headers', async () => {
    const id = await house.create('ann');
    const bodies = ['', '{', '[', 'null', '"x"', '7', Buffer.from([0xff, 0xfe, 0x00]), `${'['.repeat(50_000)}${']'.repeat(50_000)}`];
    for (const body of bodies)
      for (const [method, path] of [
        ['POST', '/v2/images'],
        ['PATCH', `/v2/images/${id}`],
        ['POST', `/v2/images/${id}/members`],
        ['PUT', `/v2/images/${id}/members/x`],
        ['POST', `/v2/images/${id}/import`],
        ['POST', `/v2/images/${id}/actions/deactivate`],
        ['PUT', `/v2/images/${id}/tags/x`],
        ['PUT', `/v2/images/${id}/file`],
      ] as const) {
        const type = method === 'PATCH' ? 'application/openstack-images-v2.1-json-patch' : 'application/json';
        const answer = await house.ask('ann', method, path, body, { 'content-type': type });
        assert.ok(answer.status < 500, `${method} ${path}: ${answer.status}`);
      }
    for (const path of [
      '/v2/images/%00',
      '/v2/images/%ff',
      '/v2/images/..%2f..%2fetc%2fpasswd',
      `/v2/images/${'x'.repeat(4000)}`,
      '/v2/images/__proto__/file',
      `/v2/images/${id}/tags/%ed%a0%80`,
      `/v2/images/${id}/members/%00`,
      '/v2/images?marker=%00',
      '/v2/images?name=%ff&limit=1',
      '/v2/images?__proto__=1',
      '/v2/images?constructor=1',
      `/v2/images?${'x'.repeat(300)}=1`,
      `/v2/images?created_at=gt:${'9'.repeat(50)}`,
      '/v2/images?created_at=9999-12-31T23:59:59Z',
      '/v2/images?created_at=2026-13-45T00:00:00Z',
      `/v2/images?name=in:${'a,'.repeat(600)}`,
      '/v2/images?size_min=999999999999999',
      '/v2/images?limit=999999999999',
      `/v2/images?${'tag=a&'.repeat(300)}`,
    ])
      for (const method of ['GET', 'PUT', 'DELETE', 'POST', 'PATCH', 'HEAD'] as const) {
        const answer = await house.ask('ann', method, path);
        assert.ok(answer.status < 500, `${method} ${path.slice(0, 80)}: ${answer.status} ${answer.text}`);
      }
    for (const headers of [
      { range: 'bytes=99999999999999999999-' },
      { range: 'x' },
      { 'x-auth-token': 'garbage' },
      { accept: 'image/png' },
    ])
      assert.ok((await house.ask('ann', 'GET', `/v2/images/${id}/file`, undefined, headers as Record<string, string>)).status < 500);
  });
});
