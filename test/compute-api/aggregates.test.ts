import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { listHostFacts } from '../../src/db/tables/compute/hosts.ts';
import { type ComputeHouse, openComputeHouse } from '../support/compute-api.ts';
import { furnish, SERVER_UUID, SERVICE_UUIDS } from '../support/compute-world.ts';

let house: ComputeHouse | undefined;
const asked: [number, readonly string[]][] = [];
let deaf = false;
const ask = (...args: Parameters<ComputeHouse['ask']>) => {
  assert.ok(house);
  return house.ask(...args);
};
beforeEach(async () => {
  await house?.close();
  asked.length = 0;
  house = await openComputeHouse({
    agents: {
      cacheImages: async (id, images) => {
        if (deaf) throw new Error('nobody hears');
        asked.push([id, images]);
      },
    },
  });
  await furnish(house.db, house.clock);
});
after(() => house?.close());

const make = async (name: string, zone?: string) =>
  (await ask('POST /os-aggregates', { body: { aggregate: { name, ...(zone ? { availability_zone: zone } : {}) } } })).body.aggregate.id;
const act = (id: number, body: object) => ask(`POST /os-aggregates/${id}/action`, { body });
const zones = async () =>
  (await ask('GET /os-availability-zone')).body.availabilityZoneInfo.map((zone: { zoneName: string }) => zone.zoneName).sort();

test('an aggregate: made, shown, renamed, given hosts and metadata, emptied, deleted', async () => {
  const made = await ask('POST /os-aggregates', { at: '2.41', body: { aggregate: { name: 'racks', availability_zone: 'london' } } });
  assert.equal(made.status, 200);
  const { uuid, id, ...rest } = made.body.aggregate;
  assert.match(uuid, /^[0-9a-f-]{36}$/);
  assert.deepEqual([rest.availability_zone, rest.updated_at, 'hosts' in rest, rest.deleted], ['london', null, false, false]);
  assert.equal('uuid' in (await ask(`GET /os-aggregates/${id}`, { at: '2.40' })).body.aggregate, false);
  assert.equal((await ask('POST /os-aggregates', { body: { aggregate: { name: 'racks' } } })).status, 409);
  assert.equal((await ask('POST /os-aggregates', { body: { aggregate: { name: 'b', availability_zone: 'a:b' } } })).status, 400);
  assert.equal((await ask('GET /os-aggregates/x')).status, 400);
  assert.equal((await ask('GET /os-aggregates/99')).status, 404);

  const set = await act(id, { set_metadata: { metadata: { ssd: 'true', gone: 'x' } } });
  assert.deepEqual(set.body.aggregate.metadata, { availability_zone: 'london', ssd: 'true', gone: 'x' });
  assert.deepEqual((await act(id, { set_metadata: { metadata: { gone: null } } })).body.aggregate.metadata, {
    availability_zone: 'london',
    ssd: 'true',
  });
  assert.equal((await act(id, { set_metadata: { metadata: { availability_zone: null } } })).status, 400);
  const added = await act(id, { add_host: { host: 'host2' } });
  assert.deepEqual(added.body.aggregate.hosts, ['host2']);
  assert.equal((await act(id, { add_host: { host: 'host2' } })).status, 409);
  assert.equal((await act(id, { add_host: { host: 'nowhere' } })).status, 404);
  assert.equal((await act(id, { add_host: { host: 'controller' } })).status, 404, 'a host without an agent');
  assert.equal((await ask(`DELETE /os-aggregates/${id}`)).status, 400);
  const renamed = await ask(`PUT /os-aggregates/${id}`, { body: { aggregate: { name: ' cabinets ', availability_zone: 'paris' } } });
  assert.deepEqual([renamed.body.aggregate.name, renamed.body.aggregate.metadata.availability_zone], ['cabinets', 'paris']);
  assert.deepEqual(await zones(), ['nova', 'paris']);
  assert.equal((await act(id, { remove_host: { host: 'host1' } })).status, 404);
  assert.deepEqual((await act(id, { remove_host: { host: 'host2' } })).body.aggregate.hosts, []);
  assert.deepEqual(await zones(), ['nova']);
  const gone = await ask(`DELETE /os-aggregates/${id}`);
  assert.deepEqual([gone.status, gone.text], [200, '']);
  assert.equal((await ask('GET /os-aggregates')).body.aggregates.length, 0);
  const told = await house?.db.read.selectFrom('changes').select(['noun', 'what']).where('noun', '=', 'aggregate').execute();
  assert.deepEqual(
    told?.map((one) => one.what).filter((what) => what !== 'begun'),
    ['created', 'updated', 'updated', 'updated', 'updated', 'updated', 'deleted'],
  );
});

test('a host is in one zone at most, and keeps it while servers are on it', async () => {
  const london = await make('a', 'london');
  const paris = await make('b', 'paris');
  const plain = await make('c');
  const refused = await act(london, { add_host: { host: 'host1' } });
  assert.equal(refused.status, 409);
  assert.match(refused.body.conflictingRequest.message, /would change from 'None' to 'london' but the host already has 1 instance/);
  assert.equal((await act(plain, { add_host: { host: 'host1' } })).status, 200);
  const update = (id: number, zone: string) => ask(`PUT /os-aggregates/${id}`, { body: { aggregate: { availability_zone: zone } } });
  assert.match((await update(plain, 'rome')).body.badRequest.message, /contain instances in this zone/);
  assert.equal((await act(plain, { set_metadata: { metadata: { availability_zone: 'rome' } } })).status, 400);

  assert.equal((await act(london, { add_host: { host: 'host2' } })).status, 200);
  assert.match((await act(paris, { add_host: { host: 'host2' } })).body.conflictingRequest.message, /already in availability zone/);
  assert.equal((await act(plain, { add_host: { host: 'host2' } })).status, 200);
  assert.match((await update(plain, 'rome')).body.badRequest.message, /already in availability zone\(s\) \['london'\]/);

  await house?.db.transaction((q) => q.updateTable('servers').set({ host: 'host2' }).where('uuid', '=', SERVER_UUID).execute());
  assert.equal((await act(london, { remove_host: { host: 'host2' } })).status, 409);
  assert.equal((await act(plain, { remove_host: { host: 'host2' } })).status, 200, 'its zone stays');
});

test('services, schedulers and servers see the zone of a host at once', async () => {
  assert.ok(house);
  const id = await make('a', 'london');
  await act(id, { add_host: { host: 'host2' } });
  assert.equal((await ask('GET /os-services?host=host2')).body.services[0].zone, 'london');
  assert.deepEqual(
    (await listHostFacts(house.db.read)).map((facts) => facts.zone),
    ['nova', 'london'],
  );
  await house.db.transaction((q) => q.updateTable('servers').set({ host: 'host2' }).where('uuid', '=', SERVER_UUID).execute());
  assert.equal((await ask(`GET /servers/${SERVER_UUID}`)).body.server['OS-EXT-AZ:availability_zone'], 'london');
  const told = await house.db.read.selectFrom('changes').select(['noun', 'key']).where('noun', '=', 'service').execute();
  assert.deepEqual(
    told.map((one) => one.key),
    ['host2'],
  );
  await house.db.transaction((q) => q.deleteFrom('servers').execute());
  assert.equal((await ask(`DELETE /os-services/${SERVICE_UUIDS[1]}`, { at: '2.53' })).status, 204);
  assert.deepEqual((await ask(`GET /os-aggregates/${id}`)).body.aggregate.hosts, []);
});

test('two that put one host into two zones at once: one of them is refused', async () => {
  const ids = await Promise.all(['a', 'b', 'c'].map((name) => make(name, `zone-${name}`)));
  const answers = await Promise.all(ids.map((id) => act(id, { add_host: { host: 'host2' } })));
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 409, 409]);
});

test('images are asked of an aggregate; that nobody hears it does not matter', async () => {
  const id = await make('a');
  await act(id, { add_host: { host: 'host1' } });
  await act(id, { add_host: { host: 'host2' } });
  const images = [{ id: '70a599e0-31e7-49b7-b260-868f441e862b' }, { id: '70a599e0-31e7-49b7-b260-868f441e8620' }];
  const put = (cache: object[], at = '2.81') => ask(`POST /os-aggregates/${id}/images`, { at, body: { cache } });
  const answer = await put(images);
  assert.deepEqual([answer.status, answer.text], [202, '']);
  assert.deepEqual(asked, [[id, images.map((image) => image.id)]]);
  deaf = true;
  assert.equal((await put(images)).status, 202);
  deaf = false;
  assert.equal((await put([...images, ...images])).status, 400);
  assert.equal((await put([])).status, 400);
  assert.equal((await put(images, '2.80')).status, 404);
  assert.equal((await ask('POST /os-aggregates/99/images', { at: '2.81', body: { cache: images } })).status, 404);
});
