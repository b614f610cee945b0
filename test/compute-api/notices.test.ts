import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ensureService } from '../../src/db/tables/compute/hosts.ts';
import { noCatalogue } from '../support/catalogue.ts';
import { type ComputeHouse, DEMO_PROJECT, noImages, openComputeHouse } from '../support/compute-api.ts';
import { furnish, SERVICE_UUIDS } from '../support/compute-world.ts';
import { formFaults } from '../support/notice-forms.ts';
import { nounEvents } from '../support/told-events.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me';
const IMAGE = '70a599e0-31e7-49b7-b260-868f441e862b';
let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse({
    host: 'api1',
    tellsOutside: true,
    images: {
      ...noImages,
      show: async () => ({
        ...{ id: IMAGE, name: 'tiny', status: 'active', diskFormat: 'qcow2', containerFormat: 'bare', sizeBytes: 1000, hashAlgo: 'sha512' },
        ...{ hashValue: 'f'.repeat(128), minDiskGiB: 0, minMemoryMiB: 0, properties: {} },
      }),
    },
  });
  await furnish(house.db, house.clock);
});
after(() => house?.close());

interface Said {
  readonly event: string;
  readonly priority: string;
  readonly publisher: string;
  readonly payload: Readonly<Record<string, unknown>>;
}
/** Does something and answers what listeners are told of it. */
async function during(deed: () => Promise<unknown>): Promise<Said[]> {
  const last = async () =>
    (await house.db.read.selectFrom('changes').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst())?.id ?? 0;
  const from = await last();
  await deed();
  const rows = await house.db.read.selectFrom('changes').select('body').where('id', '>', from).orderBy('id').execute();
  return rows.flatMap((row) => JSON.parse(row.body).notice ?? []);
}
const ask = async (place: string, body?: object, at = '2.90') => {
  const answer = await house.ask(place, { at, ...(body ? { body } : {}) });
  assert.ok(answer.status < 300, `${place}: ${answer.status} ${answer.text}`);
  return answer.body;
};
const dataOf = (said: Said | undefined) => said?.payload['nova_object.data'] as Record<string, unknown>;

/** Every deed of these nouns that somebody outside may hear of. */
async function everything(): Promise<Said[]> {
  const said: Said[] = [];
  const hear = async (deed: () => Promise<unknown>) => {
    said.push(...(await during(deed)));
  };
  await hear(() =>
    ask('POST /flavors', { flavor: { name: 'f', id: 'f', ram: 64, vcpus: 1, disk: 0, 'os-flavor-access:is_public': false } }),
  );
  await hear(() => ask('POST /flavors/f/action', { addTenantAccess: { tenant: DEMO_PROJECT } }));
  await hear(() => ask('POST /flavors/f/os-extra_specs', { extra_specs: { 'hw:numa_nodes': '2' } }));
  await hear(() => ask('PUT /flavors/f', { flavor: { description: 'd' } }));
  await hear(() => ask('DELETE /flavors/f'));
  await hear(() => ask('POST /os-keypairs', { keypair: { name: 'k', public_key: KEY } }));
  await hear(() => ask('POST /os-keypairs', { keypair: { name: 'made' } }));
  await hear(() => ask('DELETE /os-keypairs/k'));
  let id = '';
  await hear(async () => {
    const policy = { name: 'g', policy: 'anti-affinity', rules: { max_server_per_host: 3 } };
    id = (await ask('POST /os-server-groups', { server_group: policy })).server_group.id;
  });
  await hear(() =>
    ask('POST /servers', {
      server: { name: 's', imageRef: IMAGE, flavorRef: '1', networks: 'none' },
      'os:scheduler_hints': { group: id },
    }),
  );
  await hear(() => ask(`DELETE /os-server-groups/${id}`));
  let aggregate = 0;
  await hear(async () => {
    aggregate = (await ask('POST /os-aggregates', { aggregate: { name: 'a', availability_zone: 'z' } })).aggregate.id;
  });
  const act = (body: object) => hear(() => ask(`POST /os-aggregates/${aggregate}/action`, body));
  await act({ add_host: { host: 'host2' } });
  await act({ set_metadata: { metadata: { a: 'b' } } });
  await hear(() => ask(`PUT /os-aggregates/${aggregate}`, { aggregate: { name: 'b' } }));
  await act({ remove_host: { host: 'host2' } });
  await hear(() => ask(`DELETE /os-aggregates/${aggregate}`));
  await hear(() => house.db.transaction((tx) => ensureService(tx, house.db.kind, 'host9', 'nova-compute', house.clock.now())));
  await hear(() => house.db.transaction((tx) => ensureService(tx, house.db.kind, 'host9', 'nova-compute', house.clock.now())));
  await hear(() => ask(`PUT /os-services/${SERVICE_UUIDS[1]}`, { status: 'disabled', disabled_reason: 'why' }));
  await hear(() => ask(`DELETE /os-services/${SERVICE_UUIDS[1]}`));
  return said;
}

test('what happens to flavors, key pairs, groups, aggregates and services is told, in the form Nova tells it', async () => {
  const said = await everything();
  const pairs = (...deeds: string[]) => deeds.flatMap((deed) => [`${deed}.start`, `${deed}.end`]);
  assert.deepEqual(
    said.map((one) => one.event),
    [
      ...['flavor.create', 'flavor.update', 'flavor.update', 'flavor.update', 'flavor.delete'],
      ...pairs('keypair.import', 'keypair.create', 'keypair.delete'),
      ...['server_group.create', 'server_group.add_member', 'server_group.delete'],
      ...pairs('aggregate.create', 'aggregate.add_host', 'aggregate.update_metadata', 'aggregate.update_prop'),
      ...pairs('aggregate.remove_host', 'aggregate.delete'),
      ...['service.create', 'service.update', 'service.delete'],
    ],
  );
  assert.deepEqual([...new Set(said.map((one) => one.event))].sort(), [...nounEvents].sort());
  const find = (event: string, from = 0) => said.slice(from).find((one) => one.event === event);
  assert.deepEqual([find('flavor.create')?.publisher, find('service.update')?.publisher], ['nova-api:api1', 'nova-compute:host2']);
  const update = dataOf(said[3]);
  assert.deepEqual([update.projects, update.extra_specs, update.description], [[DEMO_PROJECT], { 'hw:numa_nodes': '2' }, 'd']);
  assert.deepEqual([dataOf(find('keypair.import.start')).fingerprint, dataOf(find('keypair.import.start')).public_key], [null, KEY]);
  assert.deepEqual(dataOf(find('server_group.create')).rules, { max_server_per_host: '3' });
  assert.deepEqual(
    [
      dataOf(find('aggregate.create.start')).id,
      dataOf(find('aggregate.add_host.start')).hosts,
      dataOf(find('aggregate.add_host.end')).hosts,
    ],
    [null, [], ['host2']],
  );
  assert.deepEqual([dataOf(find('service.update')).disabled, dataOf(find('service.update')).disabled_reason], [true, 'why']);
  if (!noCatalogue) assert.deepEqual(said.flatMap(formFaults), []);
});

test('what Nova tells of failures of aggregates, hosts and key pairs is told; others are not', async () => {
  const failed = async (place: string, status: number, body?: object, at = '2.90') => {
    const said = await during(async () => assert.equal((await house.ask(place, { at, ...(body ? { body } : {}) })).status, status));
    if (!noCatalogue) assert.deepEqual(said.flatMap(formFaults), []);
    return said.map((one) => [one.event, one.priority, one.publisher, dataOf(one).exception]);
  };
  const told = (exception: string) => [['compute.exception', 'ERROR', 'nova-api:api1', exception]];
  assert.deepEqual(await failed('DELETE /os-aggregates/99', 404), told('aggregate.not_found'));
  assert.deepEqual(await failed('DELETE /os-keypairs/none', 404), told('keypair.not_found'));
  assert.deepEqual(await failed('PUT /os-hosts/none', 404, { status: 'enable' }, '2.42'), told('host.not_found'));
  assert.deepEqual(await failed('DELETE /flavors/none', 404), []);
});
