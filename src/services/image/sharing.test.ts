import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ImageHouse, openImageHouse, projects } from './image-test-house.ts';

describe('who may see and do what', () => {
  let house: ImageHouse;
  before(async () => {
    house = await openImageHouse();
  });
  after(() => house.close());
  const lists = async (who: string, id: string, query = '') =>
    (await house.ask(who, 'GET', `/v2/images${query}`)).body.images.some((image: { id: string }) => image.id === id);

  test('each visibility, seen by each caller', async () => {
    const table = [
      // visibility, made by, then what bob gets: show, download, patch, delete, upload; then in bob's list, in bob's list of all
      ['private', 'ann', 404, 404, 404, 404, 404, false, false],
      ['shared', 'ann', 404, 404, 404, 404, 404, false, false],
      ['community', 'ann', 200, 200, 403, 403, 403, false, true],
      ['public', 'admin', 200, 200, 403, 403, 403, true, true],
    ] as const;
    for (const [visibility, owner, show, download, patch, remove, upload, listed, all] of table) {
      const id = await house.create(owner, { visibility });
      assert.equal((await house.upload(owner, id, 'data')).status, 204);
      const got = [
        (await house.ask('bob', 'GET', `/v2/images/${id}`)).status,
        (await house.ask('bob', 'GET', `/v2/images/${id}/file`)).status,
        (await house.patch('bob', id, [{ op: 'add', path: '/x', value: 'y' }])).status,
        (await house.ask('bob', 'DELETE', `/v2/images/${id}`)).status,
        (await house.upload('bob', id, 'other')).status,
      ];
      assert.deepEqual(got, [show, download, patch, remove, upload], visibility);
      assert.deepEqual([await lists('bob', id), await lists('bob', id, '?visibility=all')], [listed, all], visibility);
      assert.equal((await house.ask('admin', 'GET', `/v2/images/${id}`)).status, 200);
      assert.equal((await house.ask(owner, 'GET', `/v2/images/${id}`)).status, 200);
      for (const [method, rest] of [
        ['PUT', '/tags/t'],
        ['DELETE', '/tags/t'],
        ['POST', '/actions/deactivate'],
        ['POST', '/actions/reactivate'],
      ] as const)
        assert.equal((await house.ask('bob', method, `/v2/images/${id}${rest}`)).status, patch, `${visibility} ${rest}`);
    }
  });

  test('a hidden image’s 404 is word for word that of one that never was', async () => {
    const id = await house.create('ann', { visibility: 'private' });
    const other = 'ffffffff-ffff-4fff-8fff-ffffffffffff';
    const [real, absent] = await Promise.all([id, other].map((some) => house.ask('bob', 'GET', `/v2/images/${some}`)));
    assert.equal(real?.text.replace(id, other), absent?.text);
  });

  test('only an admin makes an image public or gives it to another project', async () => {
    assert.equal((await house.ask('ann', 'POST', '/v2/images', { visibility: 'public' })).status, 403);
    const id = await house.create('ann');
    assert.equal((await house.patch('ann', id, [{ op: 'replace', path: '/visibility', value: 'public' }])).status, 403);
    assert.equal((await house.patch('admin', id, [{ op: 'replace', path: '/visibility', value: 'public' }])).status, 200);
    assert.equal((await house.ask('ann', 'POST', '/v2/images', { owner: projects.bob })).status, 403);
    assert.equal((await house.ask('admin', 'POST', '/v2/images', { owner: projects.bob })).body.owner, projects.bob);
  });

  test('a reader reads and does nothing else', async () => {
    const id = await house.create('ann');
    assert.equal((await house.ask('annReads', 'GET', `/v2/images/${id}`)).status, 200);
    assert.equal((await house.ask('annReads', 'POST', '/v2/images', {})).status, 403);
    assert.equal((await house.ask('annReads', 'DELETE', `/v2/images/${id}`)).status, 403);
    assert.equal((await house.upload('annReads', id, 'x')).status, 403);
  });

  test('the whole life of a share', async () => {
    const id = await house.create('ann');
    await house.upload('ann', id, 'data');
    const offered = await house.ask('ann', 'POST', `/v2/images/${id}/members`, { member: projects.bob });
    assert.equal(offered.status, 200);
    assert.deepEqual(
      [offered.body.member_id, offered.body.image_id, offered.body.status, offered.body.schema],
      [projects.bob, id, 'pending', '/v2/schemas/member'],
    );
    assert.equal((await house.ask('ann', 'POST', `/v2/images/${id}/members`, { member: projects.bob })).status, 409);
    await house.ask('ann', 'POST', `/v2/images/${id}/members`, { member: projects.carl });
    // Offered: bob can look at it and use it, but it is not in his list until he accepts.
    assert.equal((await house.ask('bob', 'GET', `/v2/images/${id}`)).status, 200);
    assert.equal(await lists('bob', id), false);
    assert.equal(await lists('bob', id, '?visibility=shared&member_status=pending'), true);
    assert.equal(await lists('bob', id, '?visibility=shared&member_status=all'), true);
    // Members see only themselves; the owner sees all, and cannot accept for them.
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}/members`)).body.members.length, 2);
    assert.deepEqual(
      (await house.ask('bob', 'GET', `/v2/images/${id}/members`)).body.members.map((member: { member_id: string }) => member.member_id),
      [projects.bob],
    );
    assert.equal((await house.ask('bob', 'GET', `/v2/images/${id}/members/${projects.carl}`)).status, 404);
    assert.equal((await house.ask('bob', 'PUT', `/v2/images/${id}/members/${projects.carl}`, { status: 'accepted' })).status, 404);
    assert.equal((await house.ask('ann', 'PUT', `/v2/images/${id}/members/${projects.bob}`, { status: 'accepted' })).status, 403);
    assert.equal((await house.ask('bob', 'PUT', `/v2/images/${id}/members/${projects.bob}`, { status: 'maybe' })).status, 400);
    assert.equal((await house.ask('bob', 'PUT', `/v2/images/${id}/members/${projects.bob}`, {})).status, 400);
    const accepted = await house.ask('bob', 'PUT', `/v2/images/${id}/members/${projects.bob}`, { status: 'accepted' });
    assert.equal(accepted.body.status, 'accepted');
    assert.equal((await house.patch('bob', id, [])).status, 200);
    assert.equal(await lists('bob', id), true);
    assert.equal((await house.ask('bob', 'GET', `/v2/images/${id}/file`)).text, 'data');
    await house.ask('bob', 'PUT', `/v2/images/${id}/members/${projects.bob}`, { status: 'rejected' });
    assert.equal(await lists('bob', id), false);
    // A member may neither share on, nor remove, nor change.
    assert.equal((await house.ask('bob', 'POST', `/v2/images/${id}/members`, { member: 'x' })).status, 403);
    assert.equal((await house.ask('bob', 'DELETE', `/v2/images/${id}/members/${projects.bob}`)).status, 403);
    assert.equal((await house.patch('bob', id, [{ op: 'add', path: '/x', value: 'y' }])).status, 403);
    assert.equal((await house.ask('ann', 'DELETE', `/v2/images/${id}/members/${projects.bob}`)).status, 204);
    assert.equal((await house.ask('ann', 'DELETE', `/v2/images/${id}/members/${projects.bob}`)).status, 404);
    assert.equal((await house.ask('bob', 'GET', `/v2/images/${id}`)).status, 404);
  });

  test('an image is shared with 128 projects at most, however many ask at once', async () => {
    const id = await house.create('ann');
    const asked = Array.from({ length: 131 }, (_, n) => house.ask('ann', 'POST', `/v2/images/${id}/members`, { member: `p${n}` }));
    const refused = (await Promise.all(asked)).filter(({ status }) => status === 413);
    assert.equal(refused.length, 3);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}/members`)).body.members.length, 128);
  });

  test('only shared images have members', async () => {
    for (const visibility of ['private', 'community']) {
      const id = await house.create('ann', { visibility });
      const refused = await house.ask('ann', 'POST', `/v2/images/${id}/members`, { member: projects.bob });
      assert.match(refused.text, /403 Forbidden[\s\S]*Only shared images have members/);
      assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}/members`)).status, 403);
    }
    const id = await house.create('ann');
    for (const body of [{}, { member: '' }, { member: 5 }, { member: 'x'.repeat(256) }, []])
      assert.equal((await house.ask('ann', 'POST', `/v2/images/${id}/members`, body)).status, 400);
  });
});
