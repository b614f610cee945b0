import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { computeRoutes } from '../../src/services/compute-api/app.ts';
import { computeMicroversions } from '../../src/services/compute-api/microversions.ts';
import {
  againstFields,
  fieldFacts,
  noCatalogue,
  type Operation,
  operations,
  type Range,
  rangeAt,
  sample,
  shapeCheck,
} from '../support/catalogue.ts';
import { ADMIN_PROJECT, type ComputeHouse, openComputeHouse } from '../support/compute-api.ts';
import { furnish, HOST_UUIDS, SERVICE_UUIDS } from '../support/compute-world.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me';
const minor = (version: string) => Number(version.split('.')[1]);
const byUuid = (version: string) => minor(version) >= 53;

/** How each operation is asked at a version: path, with body; a fresh name where one is made. */
type Asking = (version: string) => { place: string; body?: unknown };
let made = 0;
const host = (version: string) => (byUuid(version) ? HOST_UUIDS[0] : 1);
const service = (version: string) => (byUuid(version) ? SERVICE_UUIDS[0] : 1);
const deed =
  (name: string, more: object): Asking =>
  () => ({ place: `PUT /os-services/${name}`, body: { host: 'host1', binary: 'nova-compute', ...more } });
const asking: Readonly<Record<string, Asking>> = {
  'versions:show-root': () => ({ place: 'GET /' }),
  'versions:show': () => ({ place: 'GET /versions/v2.1' }),
  'extensions:index': () => ({ place: 'GET /extensions' }),
  'extensions:show': () => ({ place: 'GET /extensions/os-agents' }),
  'flavors:index': () => ({ place: 'GET /flavors?limit=3' }),
  'flavors:detail': () => ({ place: 'GET /flavors/detail?limit=3' }),
  'flavors:show': () => ({ place: 'GET /flavors/7' }),
  'flavors:create': () => ({ place: 'POST /flavors', body: { flavor: { name: `made ${++made}`, ram: 1, vcpus: '1', disk: 1 } } }),
  'flavors:update': () => ({ place: 'PUT /flavors/7', body: { flavor: { description: 'told' } } }),
  'flavor-access:index': () => ({ place: 'GET /flavors/10/os-flavor-access' }),
  'flavor-access:addTenantAccess': () => ({ place: 'POST /flavors/10/action', body: { addTenantAccess: { tenant: `project ${++made}` } } }),
  'flavor-extra-specs:index': () => ({ place: 'GET /flavors/7/os-extra_specs' }),
  'flavor-extra-specs:show': () => ({ place: 'GET /flavors/7/os-extra_specs/hw:numa_nodes' }),
  'flavor-extra-specs:create': () => ({ place: 'POST /flavors/8/os-extra_specs', body: { extra_specs: { 'hw:numa_nodes': '1' } } }),
  'flavor-extra-specs:update': () => ({ place: 'PUT /flavors/8/os-extra_specs/hw:numa_nodes', body: { 'hw:numa_nodes': '2' } }),
  'limits:index': () => ({ place: 'GET /limits' }),
  'os-availability-zone:index': () => ({ place: 'GET /os-availability-zone' }),
  'os-availability-zone:detail': () => ({ place: 'GET /os-availability-zone/detail' }),
  'os-hypervisors:index': () => ({ place: 'GET /os-hypervisors?limit=1' }),
  'os-hypervisors:detail': () => ({ place: 'GET /os-hypervisors/detail?limit=1' }),
  'os-hypervisors:statistics': () => ({ place: 'GET /os-hypervisors/statistics' }),
  'os-hypervisors:show': (version) => ({ place: `GET /os-hypervisors/${host(version)}` }),
  'os-hypervisors:uptime': (version) => ({ place: `GET /os-hypervisors/${host(version)}/uptime` }),
  'os-hypervisors:search': () => ({ place: 'GET /os-hypervisors/host/search' }),
  'os-hypervisors:servers': () => ({ place: 'GET /os-hypervisors/host1/servers' }),
  'keypairs:index': () => ({ place: 'GET /os-keypairs?limit=1' }),
  'keypairs:show': () => ({ place: 'GET /os-keypairs/first' }),
  'keypairs:create': () => ({ place: 'POST /os-keypairs', body: { keypair: { name: `made ${++made}`, public_key: KEY } } }),
  'os-quota-sets:show': () => ({ place: `GET /os-quota-sets/${ADMIN_PROJECT}` }),
  'os-quota-sets:defaults': () => ({ place: `GET /os-quota-sets/${ADMIN_PROJECT}/defaults` }),
  'os-quota-sets:detail': () => ({ place: `GET /os-quota-sets/${ADMIN_PROJECT}/detail` }),
  'os-quota-sets:update': () => ({ place: `PUT /os-quota-sets/${ADMIN_PROJECT}`, body: { quota_set: { instances: '45', force: 'True' } } }),
  'os-services:index': () => ({ place: 'GET /os-services' }),
  'os-services:update': (version) => ({ place: `PUT /os-services/${service(version)}`, body: { status: 'enabled' } }),
  'os-services:enable': deed('enable', {}),
  'os-services:disable': deed('disable', {}),
  'os-services:disable-log-reason': deed('disable-log-reason', { disabled_reason: 'test2' }),
  'os-services:force-down': deed('force-down', { forced_down: false }),
};
const lives = (operation: Operation, version: string) =>
  minor(version) >= minor(operation.minMicroversion ?? '2.1') &&
  (operation.maxMicroversion === null || minor(version) <= minor(operation.maxMicroversion));

describe('answers have the documented form', { skip: noCatalogue }, () => {
  let house: ComputeHouse;
  const mine = operations().filter((operation) => operation.id in asking);
  before(async () => {
    house = await openComputeHouse({ quotas: { key_pairs: -1 } });
    await furnish(house.db, house.clock);
    const flavor = { ram: 2048, vcpus: 1, disk: 20 };
    await house.ask('POST /flavors', {
      at: '2.55',
      body: { flavor: { ...flavor, id: 7, name: 'm1.small.description', description: 'told' } },
    });
    await house.ask('POST /flavors', { body: { flavor: { ...flavor, id: '8', name: 'eight' } } });
    await house.ask('POST /flavors', { body: { flavor: { ...flavor, id: '10', name: 'own', 'os-flavor-access:is_public': false } } });
    await house.ask('POST /flavors/7/os-extra_specs', { body: { extra_specs: { 'hw:numa_nodes': '1', 'hw:cpu_policy': 'shared' } } });
    for (const name of ['first', 'second']) await house.ask('POST /os-keypairs', { body: { keypair: { name, public_key: KEY } } });
  });
  after(() => house.close());

  /** Where an operation's answer changes, ends or begins, and just before and after; the replay of the catalogue takes more (`npm run conformance`). */
  const edgesOf = (operation: Operation, ranges: readonly Range[] = []) => {
    const { minMicroversion: first, maxMicroversion: last } = operation;
    const at = new Set([first ?? '2.1', last ?? '2.104', ...ranges.flatMap(({ min, max }) => [min, max ?? '2.104'])].map(minor));
    return computeMicroversions.all.filter((one) => at.has(minor(one)) || at.has(minor(one) + 1) || at.has(minor(one) - 1));
  };
  test('at every microversion where something changes, field by field', async () => {
    const facts = fieldFacts();
    const wrong = new Set<string>();
    let asked = 0;
    for (const operation of mine) {
      for (const version of edgesOf(operation, facts[operation.id]?.response)) {
        const { place, body } = asking[operation.id]?.(version) ?? { place: '' };
        const answer = await house.ask(place, { at: version, body });
        asked++;
        if (!lives(operation, version)) {
          if (answer.status !== 404 && answer.status !== 400)
            wrong.add(`${operation.id} ${version} answered ${answer.status}, though it is not there`);
          continue;
        }
        if (answer.status > 201) wrong.add(`${operation.id} ${version} answered ${answer.status} ${answer.text.slice(0, 200)}`);
        const range = rangeAt(facts[operation.id]?.response, version);
        if (range) for (const line of againstFields(range.fields, answer.body)) wrong.add(`${operation.id} ${range.min}: ${line}`);
      }
    }
    assert.deepEqual([...wrong], []);
    assert.ok(asked > 200, `only ${asked} answers were compared`);
  });

  test('on the legacy mount as at 2.1', async () => {
    const facts = fieldFacts();
    const wrong: string[] = [];
    for (const operation of mine) {
      if (!lives(operation, '2.1') || operation.id === 'versions:show-root') continue;
      const { place, body } = asking[operation.id]?.('2.1') ?? { place: '' };
      const answer = await house.ask(place.replace(' ', ' /v2'), { body });
      if (answer.status > 201) wrong.push(`${operation.id} answered ${answer.status} ${answer.text.slice(0, 200)}`);
      const range = rangeAt(facts[operation.id]?.response, '2.1');
      if (range) for (const line of againstFields(range.fields, answer.body)) wrong.push(`${operation.id}: ${line}`);
    }
    assert.deepEqual(wrong, []);
  });

  test('as the samples, at the version of each', async () => {
    const { compareShape, rulesFromFields } = await shapeCheck();
    const facts = fieldFacts();
    const wrong: string[] = [];
    let compared = 0;
    for (const operation of mine) {
      for (const { file, microversion, variant } of operation.responseSamples) {
        // These show what this world has not: a cell that is away, a pair made here, a host without servers, other drivers.
        if (variant || /v2.69\/services-list|with-?out-servers|with-servers|user2|v2-version|compatible/.test(file)) continue;
        if (!lives(operation, microversion)) continue;
        if (/keypairs-post-resp/.test(file)) continue;
        const { place, body } = asking[operation.id]?.(microversion) ?? { place: '' };
        const answer = await house.ask(place, { at: microversion, body });
        const rules = rulesFromFields(facts, operation.id, microversion, 'response');
        const differences = compareShape(sample(file), answer.body, rules);
        for (const { kind, pointer } of differences) wrong.push(`${file}: ${kind} ${pointer}`);
        compared++;
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(compared > 60, `only ${compared} samples were compared`);
  });

  test('request samples are taken, at the version of each', async () => {
    const wrong: string[] = [];
    let sent = 0;
    for (const operation of mine) {
      for (const { file, microversion } of operation.requestSamples) {
        if (/v2.92\/keypairs-post-req/.test(file)) continue; // has no public_key, which 2.92 asks for
        const { place } = asking[operation.id]?.(microversion) ?? { place: '' };
        const body = structuredClone(sample(file)) as Record<string, Record<string, unknown>>;
        // Samples hold one name each; here it is made again and again.
        if (operation.id === 'flavors:create') Object.assign(body.flavor ?? {}, { name: `sample ${++made}`, id: `sample ${made}` });
        if (operation.id === 'keypairs:create') {
          Object.assign(body.keypair ?? {}, { name: `sample ${++made}` });
          if (body.keypair?.type === 'x509') continue;
        }
        if (operation.id === 'flavor-access:addTenantAccess') Object.assign(body.addTenantAccess ?? {}, { tenant: `sample ${++made}` });
        if (operation.id === 'flavor-extra-specs:update') Object.assign(body, { 'hw:numa_nodes': '1' });
        const path = operation.id === 'flavor-extra-specs:update' ? place.replace('hw:numa_nodes', Object.keys(body)[0] ?? '') : place;
        const answer = await house.ask(path, { at: microversion, body });
        if (answer.status > 202) wrong.push(`${file} at ${microversion}: ${answer.status} ${answer.text.slice(0, 300)}`);
        sent++;
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(sent > 35, `only ${sent} samples were sent`);
  });
});

// biome-ignore lint/suspicious/noExplicitAny: JSON schemas of any form
type Schema = any;
/** Field names of a schema in the catalogue's notation, `!` behind required ones. */
function flatten(schema: Schema, pointer: string, found: Set<string>) {
  for (const [name, below] of Object.entries<Schema>(schema?.properties ?? {})) {
    found.add(`${pointer}/${name}${schema.required?.includes(name) ? '!' : ''}`);
    flatten(below, `${pointer}/${name}`, found);
  }
}

describe('requests have the documented form', { skip: noCatalogue }, () => {
  const places = (operation: Operation) =>
    Object.entries(computeRoutes).filter(([key]) => {
      const [place, word] = key.split('#');
      const path = operation.path.replaceAll(/\{[^}]+\}/g, ':x');
      const action = operation.id.split(':')[1];
      if (word && word !== action) return false;
      if (operation.path.startsWith('/os-services/')) return place === `${operation.method} /os-services/:id`;
      return place?.replaceAll(/:[a-z_]+/g, ':x') === `${operation.method} ${path}`;
    });
  for (const part of ['request', 'query'] as const) {
    test(`${part}: same fields, same required ones, as strict, at every microversion`, () => {
      const facts = fieldFacts();
      const wrong = new Set<string>();
      let compared = 0;
      for (const operation of operations().filter(
        ({ id }) => (id in asking && !id.startsWith('versions:')) || /^(flavors|keypairs|os-quota-sets):delete/.test(id),
      )) {
        const [entry] = places(operation);
        assert.ok(entry, `no route for ${operation.id}`);
        const shape = part === 'request' ? entry[1].body : entry[1].query;
        for (const version of computeMicroversions.all) {
          const range = lives(operation, version) ? rangeAt(facts[operation.id]?.[part], version) : undefined;
          if (!range || Object.keys(range.fields).length === 0) continue;
          const wanted = new Set<string>();
          for (const [pointer, fact] of Object.entries(range.fields)) {
            if (pointer === '' || pointer.endsWith('/[]') || pointer.endsWith('{*}')) continue;
            wanted.add(`${pointer}${fact.split(' ')[0]?.endsWith('!') ? '!' : ''}`);
          }
          const schema = shape?.schema(version) as Schema;
          const has = new Set<string>();
          flatten(schema, '', has);
          for (const field of wanted) if (!has.has(field)) wrong.add(`${operation.id} ${range.min}: lacks ${field}`);
          for (const field of has) if (!wanted.has(field)) wrong.add(`${operation.id} ${range.min}: has ${field}`);
          const closed = / closed( |$)/.test(range.fields[''] ?? '');
          const isClosed = schema !== undefined && schema.additionalProperties === false;
          if (closed !== isClosed) wrong.add(`${operation.id} ${range.min}: is ${isClosed ? '' : 'not '}closed`);
          compared++;
        }
      }
      assert.deepEqual([...wrong], []);
      assert.ok(compared > 500, `only ${compared} comparisons were made`);
    });
  }
});
