import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ImageHouse, openImageHouse, projects } from './image-test-house.ts';

describe('lists of images', () => {
  let house: ImageHouse;
  const names = async (query: string, who = 'ann') => {
    const answer = await house.ask(who, 'GET', `/v2/images${query}`);
    assert.equal(answer.status, 200, answer.text);
    return answer.body.images.map((image: { name: string }) => image.name);
  };
  before(async () => {
    house = await openImageHouse();
    const make = async (more: object, size?: number) => {
      const id = await house.create('ann', more);
      if (size !== undefined) await house.upload('ann', id, Buffer.alloc(size));
      await house.clock.advance(10_000);
      return id;
    };
    await make({ name: 'a', tags: ['x', 'y'], os_distro: 'debian' }, 100);
    await make({ name: 'b', tags: ['x'], disk_format: 'iso', min_ram: 512 });
    await make({ name: 'c,d', visibility: 'private', os_distro: 'debian', hw_arch: 'arm' }, 300);
    await make({ name: 'e', protected: true, visibility: 'community' });
    await make({ name: 'f', os_hidden: true });
  });
  after(() => house.close());

  test('newest first; filters by name, status, format, tag, property, size, flag', async () => {
    assert.deepEqual(await names(''), ['e', 'c,d', 'b', 'a']);
    assert.deepEqual(await names('?name=a'), ['a']);
    assert.deepEqual(await names('?name=in:a,"c,d"'), ['c,d', 'a']);
    assert.deepEqual(await names('?status=active'), ['c,d', 'a']);
    assert.deepEqual(await names('?status=in:queued,saving'), ['e', 'b']);
    assert.deepEqual(await names('?disk_format=in:iso,qcow2'), ['b']);
    assert.deepEqual(await names('?tag=x'), ['b', 'a']);
    assert.deepEqual(await names('?tag=x&tag=y'), ['a']);
    assert.deepEqual(await names('?os_distro=debian'), ['c,d', 'a']);
    assert.deepEqual(await names('?os_distro=debian&hw_arch=arm'), ['c,d']);
    assert.deepEqual(await names('?size_min=101'), ['c,d']);
    assert.deepEqual(await names('?size_max=100'), ['a']);
    assert.deepEqual(await names('?protected=true'), ['e']);
    assert.deepEqual(await names('?min_ram=512'), ['b']);
    assert.deepEqual(await names('?visibility=private'), ['c,d']);
    assert.deepEqual(await names('?visibility=community', 'bob'), ['e']);
    assert.deepEqual(await names('?os_hidden=true'), ['f']);
    assert.deepEqual(await names(`?owner=${projects.ann}&limit=1`), ['e']);
    assert.deepEqual(await names(`?owner=${projects.bob}`), []);
  });

  test('times by operator', async () => {
    const [second] = (await house.ask('ann', 'GET', '/v2/images?name=b')).body.images;
    const at = encodeURIComponent(second.created_at);
    assert.deepEqual(await names(`?created_at=gt:${at}`), ['e', 'c,d']);
    assert.deepEqual(await names(`?created_at=gte:${at}`), ['e', 'c,d', 'b']);
    assert.deepEqual(await names(`?created_at=lt:${at}`), ['a']);
    assert.deepEqual(await names(`?created_at=lte:${at}`), ['b', 'a']);
    assert.deepEqual(await names(`?created_at=eq:${at}`), ['b']);
    assert.deepEqual(await names(`?created_at=neq:${at}`), ['e', 'c,d', 'a']);
  });

  test('sorting in both forms', async () => {
    assert.deepEqual(await names('?sort_key=name&sort_dir=asc'), ['a', 'b', 'c,d', 'e']);
    assert.deepEqual(await names('?sort=size:desc,name:asc'), ['c,d', 'a', 'b', 'e']);
    assert.deepEqual(await names('?sort_key=status&sort_dir=asc&sort_key=name&sort_dir=desc'), ['c,d', 'a', 'e', 'b']);
  });

  test('paging meets every image once, in any order, with the query kept in its links', async () => {
    for (const sort of ['sort=name:asc', 'sort=size:asc', 'sort=disk_format:desc', 'sort_key=created_at']) {
      const seen: string[] = [];
      let path: string | undefined = `/v2/images?limit=1&${sort}`;
      while (path) {
        const page: { images: { name: string }[]; next?: string; first: string } = (await house.ask('ann', 'GET', path)).body;
        assert.equal(new URLSearchParams(page.first.split('?')[1]).has('marker'), false);
        seen.push(...page.images.map((image) => image.name));
        path = page.next;
      }
      assert.deepEqual(seen, await names(`?${sort}`), sort);
      assert.equal(seen.length, 4);
    }
  });

  test('what cannot be meant is a 400', async () => {
    for (const query of [
      'limit=x',
      'limit=-1',
      'marker=nothing',
      'sort_key=colour',
      'sort=name:up',
      'sort=name&sort_key=name',
      'sort_key=name&sort_dir=asc&sort_dir=desc',
      'visibility=secret',
      'member_status=maybe',
      'size_min=big',
      'created_at=gt:yesterday',
      'protected=perhaps',
      'os_hidden=perhaps',
      'min_ram=99999999999999999999',
      'name=in:"open',
    ])
      assert.equal((await house.ask('ann', 'GET', `/v2/images?${query}`)).status, 400, query);
    assert.deepEqual(await names('?limit=0'), []);
  });

  test('a marker the caller may not see is no marker', async () => {
    const [mine] = (await house.ask('ann', 'GET', '/v2/images?visibility=private')).body.images;
    assert.equal((await house.ask('bob', 'GET', `/v2/images?marker=${mine.id}`)).status, 400);
  });
});
