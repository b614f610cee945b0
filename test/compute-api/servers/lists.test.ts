import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { compilePattern } from '../../../src/services/compute-api/server-pattern.ts';
import { serverListQuery } from '../../../src/services/compute-api/shapes/server-list.ts';
import { type House, openHouse, people, wish } from './house.ts';

let house: House;
before(async () => {
  house = await openHouse({ quotas: { instances: -1, cores: -1, ram: -1 }, maxLimit: 50 });
});
after(() => house.close());

const names = async (path: string, ask: Parameters<House['call']>[2] = {}): Promise<string[]> => {
  const answer = await house.call('GET', path, ask);
  assert.equal(answer.status, 200, `${path}: ${answer.text}`);
  return answer.body.servers.map((one: { name: string }) => one.name);
};

test('filters: each finds what it should, for those who may use it', async () => {
  const make = async (name: string, more: object = {}, row?: object) => {
    await house.clock.advance(1000);
    const id = await house.boot(name, { networks: 'none', ...more }, { version: '2.104' });
    if (row) await house.activate(id, row);
    return id;
  };
  const a = await make('alpha', { tags: ['red', 'blue'], key_name: 'mykey', hostname: 'alpha-host' }, {});
  const b = await make(
    'beta.1',
    { tags: ['red'], metadata: { role: 'db' } },
    { vm_state: 'stopped', power_state: 4, locked: 1, locked_reason: 'x' },
  );
  await make('gamma', { availability_zone: 'az2', flavorRef: 'big', config_drive: true });
  const cases: readonly (readonly [query: string, expected: readonly string[], version?: string, as?: 'admin'])[] = [
    ['', ['gamma', 'beta.1', 'alpha']],
    ['?name=a', ['gamma', 'beta.1', 'alpha']],
    ['?name=^alpha$', ['alpha']],
    ['?name=beta.1', ['beta.1']],
    ['?name=^(al|be)', ['beta.1', 'alpha']],
    ['?name=%5Ea.*a%24', ['alpha']],
    ['?name=_', []],
    ['?status=ACTIVE', ['alpha']],
    ['?status=active&status=shutoff', ['beta.1', 'alpha']],
    ['?status=BUILD', ['gamma']],
    ['?status=bogus', []],
    ['?flavor=big', ['gamma']],
    ['?flavor=none', []],
    ['?image=00000000-31e7-49b7-b260-868f441e862b', []],
    ['?ip=192.168.1.30', ['beta.1', 'alpha']],
    ['?ip=10%5C.', []],
    ['?ip6=fd00', ['gamma', 'beta.1', 'alpha'], '2.4'],
    ['?ip6=fd00', ['beta.1', 'alpha'], '2.5'],
    ['?tags=red', ['gamma', 'beta.1', 'alpha'], '2.25'],
    ['?tags=red', ['beta.1', 'alpha'], '2.26'],
    ['?tags=red,blue', ['alpha'], '2.26'],
    ['?tags-any=blue,green', ['alpha'], '2.26'],
    ['?not-tags=red,blue', ['gamma', 'beta.1'], '2.26'],
    ['?not-tags-any=red,blue', ['gamma'], '2.26'],
    ['?locked=true', ['gamma', 'beta.1', 'alpha'], '2.72'],
    ['?locked=true', ['beta.1'], '2.73'],
    ['?locked=0', ['gamma', 'alpha'], '2.73'],
    ['?host=host1', ['gamma', 'beta.1', 'alpha']],
    ['?host=host2', ['gamma', 'beta.1', 'alpha']],
    [`?all_tenants=1&project_id=${people.demo.projectId}&host=host1`, ['beta.1', 'alpha'], '2.1', 'admin'],
    [`?all_tenants=1&tenant_id=${people.other.projectId}`, [], '2.1', 'admin'],
    [`?tenant_id=${people.demo.projectId}`, [], '2.1', 'admin'],
    ['?key_name=mykey', ['gamma', 'beta.1', 'alpha'], '2.82'],
    ['?key_name=mykey', ['alpha'], '2.83'],
    ['?availability_zone=az2', ['gamma'], '2.83'],
    ['?config_drive=True', ['gamma'], '2.83'],
    ['?power_state=4', ['beta.1'], '2.83'],
    ['?vm_state=stopped', ['beta.1'], '2.83'],
    ['?task_state=scheduling', ['gamma'], '2.83'],
    [`?user_id=${people.demo.userId}`, ['gamma', 'beta.1', 'alpha'], '2.83'],
    ['?user_id=nobody', [], '2.83'],
    ['?created_at=2023-11-14T22:13:21', ['alpha'], '2.83'],
    ['?hostname=alpha-host', ['gamma', 'beta.1', 'alpha'], '2.89'],
    ['?hostname=alpha-host', ['alpha'], '2.90'],
    ['?metadata=%7B%22role%22%3A%22db%22%7D&all_tenants=yes', ['beta.1'], '2.1', 'admin'],
    ['?changes-since=2023-11-14T22:13:22Z', ['gamma', 'beta.1']],
    ['?changes-before=2023-11-14T22:13:22Z', ['gamma', 'beta.1', 'alpha'], '2.65'],
    ['?changes-before=2023-11-14T22:13:21Z', ['alpha'], '2.66'],
    ['?sort_key=display_name&sort_dir=asc', ['alpha', 'beta.1', 'gamma']],
    ['?sort_key=display_name&sort_dir=desc', ['gamma', 'beta.1', 'alpha']],
    ['?sort_key=vm_state&sort_dir=asc&sort_key=created_at&sort_dir=desc', ['alpha', 'gamma', 'beta.1']],
    ['?sort_key=created_at&sort_dir=asc', ['alpha', 'beta.1', 'gamma']],
    ['?sort_key=task_state&sort_dir=desc', ['gamma', 'beta.1', 'alpha']],
    ['?sort_key=memory_mb', ['gamma', 'beta.1', 'alpha'], '2.74'],
    ['?unknown=1', ['gamma', 'beta.1', 'alpha'], '2.74'],
    ['?_proxy=1', ['gamma', 'beta.1', 'alpha'], '2.75'],
    ['?limit=0', []],
    ['?limit=2', ['gamma', 'beta.1']],
    ['?deleted=true', ['gamma', 'beta.1', 'alpha']],
    ['?deleted=true&all_tenants=1', [], '2.1', 'admin'],
  ];
  for (const [query, expected, version = '2.1', as] of cases)
    for (const path of ['/servers', '/servers/detail'])
      assert.deepEqual(await names(`${path}${query}`, { version, ...(as ? { as } : {}) }), expected, `${version} ${path}${query}`);

  const refused: readonly (readonly [query: string, status: number, version?: string])[] = [
    ['?status=bogus', 400, '2.38'],
    ['?unknown=1', 400, '2.75'],
    ['?sort_key=memory_mb', 400, '2.75'],
    ['?sort_key=host', 403],
    ['?sort_key=nonsense', 400],
    ['?sort_key=created_at&sort_dir=sideways', 400],
    ['?limit=-1', 400],
    ['?limit=x', 400],
    ['?limit=', 400],
    ['?marker=nobody', 400],
    ['?marker=00000000-31e7-49b7-b260-868f441e862b', 400],
    ['?name=(', 400],
    ['?name=(?=a)', 400],
    ['?locked=maybe', 400, '2.73'],
    ['?all_tenants=maybe', 400],
    ['?all_tenants=1', 403],
    ['?changes-since=yesterday', 400],
    ['?changes-since=2024-01-01T00:00:00Z&changes-before=2023-01-01T00:00:00Z', 400, '2.66'],
    ['?vm_state=deleted', 403, '2.83'],
    ['?status=DELETED', 403],
  ];
  for (const [query, status, version = '2.1'] of refused) {
    const answer = await house.call('GET', `/servers${query}`, { version });
    assert.equal(answer.status, status, `${version} ${query}: ${answer.text}`);
  }
  assert.deepEqual(await names('/servers', { as: 'other' }), [], 'other projects see nothing');
  assert.equal((await house.call('GET', `/servers?marker=${a}`, { as: 'other' })).status, 400, 'not even as a marker');

  await house.db.transaction((tx) =>
    tx
      .updateTable('servers')
      .set({ deleted: 7, deleted_at: 1, vm_state: 'deleted', updated_at: house.clock.now(), revision: 99 })
      .where('uuid', '=', b)
      .execute(),
  );
  assert.deepEqual(await names('/servers'), ['gamma', 'alpha']);
  assert.deepEqual(await names('/servers?deleted=True&all_tenants=1', { as: 'admin' }), ['beta.1']);
  assert.deepEqual(await names('/servers?status=DELETED&all_tenants=1', { as: 'admin' }), ['beta.1']);
  assert.deepEqual(await names('/servers?changes-since=2023-11-14T22:13:00Z'), ['gamma', 'beta.1', 'alpha']);
  const gone = (await house.call('GET', '/servers/detail?changes-since=2023-11-14T22:13:00Z')).body.servers[1];
  assert.equal(gone.status, 'DELETED');
  assert.equal((await house.call('GET', `/servers/${b}`)).status, 404);
});

test('a rendering kept is never shown after a change', async () => {
  const id = await house.boot('fresh');
  const read = async () => (await house.call('GET', '/servers/detail?name=^fresh', { version: '2.104' })).body.servers[0];
  assert.equal((await read()).status, 'BUILD');
  await house.activate(id);
  assert.equal((await read()).status, 'ACTIVE');
  await house.call('PUT', `/servers/${id}`, { body: { server: { name: 'fresh-2' } } });
  assert.equal((await read()).name, 'fresh-2');
  const asAdmin = (await house.call('GET', '/servers/detail?name=fresh-2&all_tenants=1', { version: '2.104', as: 'admin' })).body
    .servers[0];
  assert.equal(asAdmin['OS-EXT-SRV-ATTR:host'], 'host1');
  assert.equal((await read())['OS-EXT-SRV-ATTR:host'], undefined);
  await house.clock.advance(120_000);
  const late = (await house.call('GET', '/servers/detail?name=fresh-2&all_tenants=1', { version: '2.104', as: 'admin' })).body.servers[0];
  assert.deepEqual([asAdmin.host_status, late.host_status], ['UP', 'UNKNOWN']);
});

test('pages are complete and without duplicates while servers are made', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom(
        '',
        '&sort_key=display_name&sort_dir=asc',
        '&sort_key=vm_state&sort_dir=asc&sort_key=created_at&sort_dir=desc',
        '&name=page',
      ),
      fc.constantFrom('/servers', '/servers/detail'),
      fc.array(fc.boolean(), { maxLength: 6 }),
      async (limit, order, path, births) => {
        const before = new Set<string>((await idsOf('/servers?limit=50')).ids);
        const seen: string[] = [];
        let next: string | undefined = `${path}?limit=${limit}${order}`;
        for (let page = 0; next !== undefined; page++) {
          if (births[page]) await house.boot(`page-${page}`);
          const answer = await idsOf(next);
          seen.push(...answer.ids);
          next = answer.next;
        }
        assert.equal(new Set(seen).size, seen.length, 'no server twice');
        if (!order.includes('name=')) for (const id of before) assert.ok(seen.includes(id), 'none is missing that was there before');
        await house.db.transaction((tx) => tx.deleteFrom('servers').where('name', 'like', 'page-%').where('id', '>', 20).execute());
      },
    ),
    { numRuns: 25 },
  );
});
async function idsOf(path: string): Promise<{ ids: string[]; next: string | undefined }> {
  const answer = await house.call('GET', path);
  assert.equal(answer.status, 200, answer.text);
  const href: string | undefined = answer.body.servers_links?.[0].href;
  return { ids: answer.body.servers.map((one: { id: string }) => one.id), next: href?.slice(`${house.base}/v2.1`.length) };
}

test('a page is never longer than the limit of the cloud, and goes on after a marker that is gone', async () => {
  const many = await house.call('POST', '/servers', { as: 'other', body: wish({ name: 'm', min_count: 60 }) });
  assert.equal(many.status, 202);
  const first = await house.call('GET', '/servers', { as: 'other' });
  assert.equal(first.body.servers.length, 50);
  const marker = first.body.servers[49].id;
  assert.equal(first.body.servers_links[0].href, `${house.base}/v2.1/servers?marker=${marker}`);
  await house.db.transaction((tx) =>
    tx
      .updateTable('servers')
      .set((eb) => ({ deleted: eb.ref('id') }))
      .where('uuid', '=', marker)
      .execute(),
  );
  const second = await house.call('GET', `/servers?marker=${marker}`, { as: 'other' });
  assert.equal(second.body.servers.length, 10);
  assert.equal(second.body.servers_links, undefined);
});

test('a hostile pattern takes no longer than its text', () => {
  const fits = compilePattern('(a+)+(a|aa)*(a*)*$');
  const start = performance.now();
  assert.equal(fits(`${'a'.repeat(250)}b`), false);
  assert.ok(performance.now() - start < 500);
  assert.throws(() => compilePattern('((a{200}){200}){200}'), /too long|255/);
  assert.throws(() => compilePattern('(a)\\1'), /back references/);
});

test('patterns mean what regular expressions mean', () => {
  const part = fc.constantFrom(
    'a',
    'b',
    '.',
    '[ab]',
    '[^a]',
    '(a|b)',
    '\\d',
    '\\w',
    'a*',
    'b+',
    'a?',
    '(ab){1,2}',
    '(?:b|)',
    '^',
    '$',
    '\\b',
    '[a-c]',
    'x{0}',
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 6 }),
      fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', ' ', '-'), maxLength: 8 }),
      (parts, text) => {
        const source = parts.join('');
        assert.equal(compilePattern(source)(text), new RegExp(source, 'u').test(text), `/${source}/ on "${text}"`);
      },
    ),
    { numRuns: 500 },
  );
});

test('no word and no value of a query is our fault', async () => {
  const values = ['', '-1', 'x', '(((', '\ud83d', "' or 1=1 --", '9'.repeat(400), 'a,b,,', '{}', '2024-13-45', '%00'];
  const words = Object.keys((serverListQuery.schema('2.74').properties ?? {}) as object);
  assert.ok(words.length > 50);
  for (const word of words)
    for (const [index, value] of values.entries()) {
      const query = `${word}=${value.startsWith('%') ? value : encodeURIComponent(value.toWellFormed())}`;
      const all = index % 2 && word !== 'all_tenants' ? '&all_tenants=1' : '';
      const answer = await house.call('GET', `/servers?${query}${all}`, { version: '2.104', as: 'admin' });
      assert.ok(answer.status < 500, `${query}: ${answer.text}`);
    }
});
