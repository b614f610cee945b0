import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { seedFlavors } from '../../src/services/compute-api/flavor-seeds.ts';
import { type ComputeHouse, DEMO_PROJECT, openComputeHouse } from '../support/compute-api.ts';

let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse();
  await seedFlavors(house.db, house.clock);
});
after(() => house.close());

const ids = (answer: { body: { flavors: { id: string }[] } }) => answer.body.flavors.map(({ id }) => id);
const create = (flavor: object, at?: string) =>
  house.ask('POST /flavors', { at, body: { flavor: { ram: 64, vcpus: 1, disk: 0, ...flavor } } });

test('a new cloud has its six flavors, and seeding again changes nothing', async () => {
  await seedFlavors(house.db, house.clock);
  const { body } = await house.ask('GET /flavors/detail', { as: 'demo' });
  assert.deepEqual(
    body.flavors.map((f: Record<string, unknown>) => [f.id, f.name, f.vcpus, f.ram, f.disk]),
    [
      ['1', 'm1.tiny', 1, 512, 1],
      ['2', 'm1.small', 1, 2048, 20],
      ['3', 'm1.medium', 2, 4096, 40],
      ['4', 'm1.large', 4, 8192, 80],
      ['5', 'm1.xlarge', 8, 16384, 160],
      ['6', 'k1.nano', 1, 128, 1],
    ],
  );
});

test('pages follow each other by their links, in any order', async () => {
  for (const query of ['sort_key=flavorid', 'sort_key=memory_mb&sort_dir=desc', 'sort_key=vcpus', 'sort_key=description&sort_dir=desc']) {
    const seen: string[] = [];
    let path: string | undefined = `/flavors?limit=2&${query}`;
    while (path) {
      const answer = await house.ask(`GET ${path}`, { as: 'demo' });
      assert.equal(answer.status, 200);
      seen.push(...ids(answer));
      const next: string | undefined = answer.body.flavors_links?.[0].href;
      path = next?.slice(house.origin.length);
      assert.ok(seen.length <= 8, query);
    }
    assert.deepEqual([...seen].sort(), ['1', '2', '3', '4', '5', '6'], query);
  }
  assert.deepEqual(ids(await house.ask('GET /flavors?sort_key=memory_mb&sort_dir=desc&limit=1', { as: 'demo' })), ['5']);
  assert.deepEqual(ids(await house.ask('GET /flavors?limit=0', { as: 'demo' })), []);
  const lost = await house.ask('GET /flavors?marker=nope');
  assert.deepEqual(lost.body, { badRequest: { code: 400, message: 'marker [nope] not found' } });
  const links = (await house.ask(`GET /${DEMO_PROJECT}/flavors?limit=1`, { as: 'demo' })).body;
  assert.equal(links.flavors_links[0].href, `${house.origin}/v2.1/${DEMO_PROJECT}/flavors?limit=1&marker=1`);
  assert.equal(links.flavors[0].links[0].href, `${house.origin}/v2.1/${DEMO_PROJECT}/flavors/1`);
  assert.equal(links.flavors[0].links[1].href, `${house.origin}/${DEMO_PROJECT}/flavors/1`);
});

test('filters: size, name, publicity', async () => {
  assert.deepEqual(ids(await house.ask('GET /flavors?minRam=4096&minDisk=80', { as: 'demo' })), ['4', '5']);
  assert.equal((await house.ask('GET /flavors?minRam=much')).status, 400);
  assert.equal((await house.ask('GET /flavors?minRam=999999999999')).status, 200);
  assert.deepEqual(ids(await house.ask('GET /flavors?name=m1.large', { at: '2.102', as: 'demo' })), ['4']);
  assert.equal(ids(await house.ask('GET /flavors?name=m1.large', { at: '2.74', as: 'demo' })).length, 6);
  assert.equal((await house.ask('GET /flavors?name=m1.large', { at: '2.75', as: 'demo' })).status, 400);
  assert.equal((await house.ask('GET /flavors?sort_key=rxtx_factor', { at: '2.102' })).status, 400);
  assert.equal((await house.ask('GET /flavors?is_public=perhaps')).status, 400);
});

test('a private flavor is its projects’ alone', async () => {
  assert.equal((await create({ id: 'secret', name: 'secret', 'os-flavor-access:is_public': 'False' })).status, 200);
  assert.equal((await house.ask('GET /flavors/secret', { as: 'demo' })).status, 404);
  assert.equal((await house.ask('GET /flavors/secret')).status, 200);
  assert.ok(!ids(await house.ask('GET /flavors')).includes('secret'));
  assert.ok(!ids(await house.ask('GET /flavors?is_public=None', { as: 'demo' })).includes('secret'));
  assert.ok(ids(await house.ask('GET /flavors?is_public=None')).includes('secret'));
  assert.deepEqual(ids(await house.ask('GET /flavors?is_public=false')), ['secret']);
  const act = (body: object, at?: string, id = 'secret') => house.ask(`POST /flavors/${id}/action`, { at, body });
  const added = await act({ addTenantAccess: { tenant: DEMO_PROJECT } });
  assert.deepEqual(added.body, { flavor_access: [{ flavor_id: 'secret', tenant_id: DEMO_PROJECT }] });
  assert.equal((await act({ addTenantAccess: { tenant: DEMO_PROJECT } })).status, 409);
  assert.equal((await house.ask('GET /flavors/secret', { as: 'demo' })).status, 200);
  assert.ok(ids(await house.ask('GET /flavors', { as: 'demo' })).includes('secret'));
  assert.equal((await house.ask('GET /flavors/secret', { as: 'other' })).status, 404);
  assert.deepEqual((await act({ removeTenantAccess: { tenant: DEMO_PROJECT } })).body, { flavor_access: [] });
  assert.equal((await act({ removeTenantAccess: { tenant: DEMO_PROJECT } })).status, 404);
  assert.equal((await house.ask('GET /flavors/1/os-flavor-access')).status, 404);
  assert.equal((await act({ addTenantAccess: { tenant: 'x' } }, '2.7', '1')).status, 409);
  assert.equal((await act({ addTenantAccess: { tenant: 'x' } }, '2.6', '1')).status, 200);
  assert.equal((await act({ fly: {} })).body.badRequest.message, 'There is no such action: fly');
  assert.equal(
    (await act({ addTenantAccess: { tenant: 'x' }, removeTenantAccess: { tenant: 'x' } })).body.badRequest.message,
    'Malformed request body',
  );
});

test('making and deleting: ids, names, limits', async () => {
  const given = await create({ name: 'numbers', id: 77, ram: '64', swap: 5 });
  assert.deepEqual([given.body.flavor.id, given.body.flavor.ram, given.body.flavor.swap], ['77', 64, 5]);
  assert.equal((await house.ask('GET /flavors/1')).body.flavor.swap, '');
  assert.equal((await house.ask('GET /flavors/1', { at: '2.75' })).body.flavor.swap, 0);
  for (const id of [undefined, null, 'auto']) {
    const made = await create({ name: `made ${id}`, ...(id === undefined ? {} : { id }) });
    assert.match(made.body.flavor.id, /^[0-9a-f-]{36}$/);
  }
  assert.equal((await create({ name: 'numbers', id: '78' })).body.conflictingRequest.message, 'Flavor with name numbers already exists.');
  assert.equal((await create({ name: 'other', id: '77' })).body.conflictingRequest.message, 'Flavor with ID 77 already exists.');
  for (const wrong of [
    { name: '' },
    { name: ' lead' },
    { name: 'x'.repeat(256) },
    { name: 'nul\u0000' },
    { name: 'ok', ram: 0 },
    { name: 'ok', ram: '0' },
    { name: 'ok', ram: '2147483648' },
    { name: 'ok', vcpus: 1.5 },
    { name: 'ok', disk: -1 },
    { name: 'ok', id: 'a/b' },
    { name: 'ok', rxtx_factor: 0 },
    { name: 'ok', rxtx_factor: '0' },
    { name: 'ok', 'os-flavor-access:is_public': 'maybe' },
    { name: 'ok', description: 'too early' },
  ])
    assert.equal((await create(wrong)).status, 400, JSON.stringify(wrong));
  const early = await create({ name: 'ok', description: 'early' });
  assert.match(early.body.badRequest.message, /Microversions 2\.55 to 2\.104 have it/);
  assert.equal((await create({ name: 'ok', rxtx_factor: 1 }, '2.102')).status, 400);
  const gone = await house.ask('DELETE /flavors/77');
  assert.deepEqual([gone.status, gone.text], [202, '']);
  assert.equal((await house.ask('DELETE /flavors/77')).status, 404);
  const race = await Promise.all(Array.from({ length: 8 }, () => create({ name: 'race', id: 'race' })));
  assert.deepEqual(race.map(({ status }) => status).sort(), [200, 409, 409, 409, 409, 409, 409, 409]);
});

test('a description can be changed from 2.55 on', async () => {
  const change = (at: string, flavor: object) => house.ask('PUT /flavors/1', { at, body: { flavor } });
  assert.equal((await change('2.54', { description: 'x' })).status, 404);
  assert.equal((await change('2.55', { description: 'small' })).body.flavor.description, 'small');
  assert.equal((await change('2.55', { description: null })).body.flavor.description, null);
  assert.equal((await change('2.55', { description: 'x', name: 'y' })).status, 400);
  assert.equal((await house.ask('PUT /flavors/none', { at: '2.55', body: { flavor: { description: 'x' } } })).status, 404);
});

test('extra specs: kept as text, checked from 2.86 on', async () => {
  const put = (specs: object, at?: string) => house.ask('POST /flavors/2/os-extra_specs', { at, body: { extra_specs: specs } });
  assert.equal((await put({ 'hw:numa_nodes': 2, free: 'x' })).status, 200);
  assert.deepEqual((await house.ask('GET /flavors/2/os-extra_specs')).body, { extra_specs: { 'hw:numa_nodes': '2', free: 'x' } });
  assert.deepEqual((await house.ask('GET /flavors/2/os-extra_specs/free')).body, { free: 'x' });
  assert.equal((await house.ask('GET /flavors/2/os-extra_specs/constructor')).status, 404);
  assert.equal((await house.ask('PUT /flavors/2/os-extra_specs/free', { body: { free: 'y' } })).body.free, 'y');
  assert.equal(
    (await house.ask('PUT /flavors/2/os-extra_specs/free', { body: { other: 'y' } })).body.badRequest.message,
    'Request body and URI mismatch',
  );
  assert.equal((await house.ask('DELETE /flavors/2/os-extra_specs/free')).status, 200);
  assert.equal((await house.ask('DELETE /flavors/2/os-extra_specs/free')).status, 404);
  for (const [specs, status] of [
    [{ 'hw:cpu_policy': 'sharrred' }, 400],
    [{ 'hw:cpu_policy': 'shared' }, 200],
    [{ 'hw:no_such': 'x' }, 400],
    [{ 'hw:numa_nodes': '0' }, 400],
    [{ 'hw:mem_page_size': '2MiB' }, 200],
    [{ 'resources:VCPU': 'x' }, 400],
    [{ 'resources1:CUSTOM_A': '4' }, 200],
    [{ 'trait:HW_CPU_X86_AVX': 'required' }, 200],
    [{ 'trait:HW_CPU_X86_AVX': 'maybe' }, 400],
    [{ 'trait:NO_SUCH': 'required' }, 400],
    [{ 'resources:NO_SUCH': '1' }, 400],
    [{ 'capabilities:cpu_info:features': '<in> aes' }, 200],
    [{ 'capabilities:no_such': 'x' }, 400],
    [{ 'quota:cpu_quota': '-1' }, 200],
    [{ 'quota:cpu_period': '-1' }, 400],
    [{ 'quota:vif_outbound_peak': '10' }, 200],
    [{ 'pci_passthrough:alias': 'a:1, b:2' }, 200],
    [{ 'pci_passthrough:alias': 'a' }, 400],
    [{ 'hw:mem_encryption_model': 'amd-sev-snp' }, 200],
    [{ 'os:secure_boot': 'optional' }, 400],
    [{ 'mine:anything': 'x' }, 200],
    [{ bare: 'x' }, 200],
  ] as const) {
    assert.equal((await put(specs, '2.86')).status, status, JSON.stringify(specs));
    assert.equal((await put(specs, '2.85')).status, 200, JSON.stringify(specs));
  }
  for (const wrong of [{ 'a/b': 'x' }, { a: ['x'] }, { a: 'x'.repeat(256) }, { a: null }]) assert.equal((await put(wrong)).status, 400);
  await Promise.all(Array.from({ length: 10 }, (_, at) => put({ [`same time ${at}`]: 'x' })));
  const all = (await house.ask('GET /flavors/2/os-extra_specs')).body.extra_specs;
  assert.equal(Object.keys(all).filter((key) => key.startsWith('same time')).length, 10);
});
