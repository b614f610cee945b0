import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { placementRoutes } from '../../src/services/placement/routes.ts';
import { volumeRoutes } from '../../src/services/volume/routes.ts';
import { openClient } from '../house/hostile-wire.ts';
import { anyValue, type Dice, dice, oddIds, spoil, texts } from '../house/hostile-words.ts';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';

const REQUESTS = Number(process.env.REQUESTS ?? 8000);
const SEED = Number(process.env.SEED ?? 20261121);

let house: House;
let demo: Client;
let admin: Client;
/** Ids by noun. */
const own: Record<string, string> = {};
// biome-ignore lint/suspicious/noExplicitAny: bodies of every form
type Any = any;
before(async () => {
  house = await startHouse();
  [demo, admin] = await Promise.all([house.as('demo'), house.as('admin')]);
  const volume = async () => (await demo.volume.ask<Any>('POST', '/volumes', { body: { volume: { size: 1, name: 'v' } } })).body.volume.id;
  own.volume = await volume();
  own.spare = await volume();
  await waitFor(
    async () => (await demo.volume.ask<Any>('GET', `/volumes/${own.volume}`)).body.volume.status === 'available',
    60_000,
    () => 'no volume',
  );
  own.snapshot = (await demo.volume.ask<Any>('POST', '/snapshots', { body: { snapshot: { volume_id: own.volume } } })).body.snapshot.id;
  own.type = (await admin.volume.ask<Any>('POST', '/types', { body: { volume_type: { name: 't' } } })).body.volume_type.id;
  own.image = (await demo.image.ask<Any>('GET', '/v2/images')).body.images[0].id;
  const token = { headers: { 'x-subject-token': demo.token } };
  own.project = (await demo.identity.ask<Any>('GET', '/v3/auth/tokens', token)).body.token.project.id;
  own.user = (await demo.identity.ask<Any>('GET', '/v3/auth/tokens', token)).body.token.user.id;
  own.provider = (
    await admin.compute.ask<Any>('GET', '/os-hypervisors', { headers: { 'openstack-api-version': 'compute 2.88' } })
  ).body.hypervisors[0].id;
});
after(async () => {
  await house?.stop();
  await house?.remove();
});

interface Form {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}
// biome-ignore lint/suspicious/noExplicitAny: JSON schemas of any form
type Schema = any;
/** A body that has every field of a schema, each with a value of its first type. */
function plausible(schema: Schema, name = ''): unknown {
  const type = Array.isArray(schema?.type) ? schema.type[0] : schema?.type;
  if (schema?.enum) return schema.enum[0];
  if (type === 'object')
    return Object.fromEntries(Object.entries<Schema>(schema.properties ?? {}).map(([key, below]) => [key, plausible(below, key)]));
  if (type === 'array') return [plausible(schema.items)];
  const noun = /^(volume|snapshot|image|project|user|instance)_?(uu)?id$|^imageRef$/.exec(name)?.[1];
  if (noun) return `{${noun}}`;
  return type === 'string' ? 'text' : type === 'boolean' ? true : type === 'null' ? null : 1;
}
const nouns: readonly (readonly [RegExp, string])[] = [
  [/\/volumes\/:/, 'volume'],
  [/\/snapshots\/:/, 'snapshot'],
  [/\/types\/:/, 'type'],
  [/\/os-quota-sets\/:/, 'none'],
  [/\/resource_providers\/:/, 'provider'],
];
const formsOf = (table: Readonly<Record<string, { body?: { schema(at: '3.70'): object } }>>, mount: string): Form[] =>
  Object.entries(table).flatMap(([key, route]) => {
    const [method = '', path = ''] = (key.split('#')[0] ?? '').split(/ +/);
    if (path.includes(':project_id')) return [];
    const noun = nouns.find(([form]) => form.test(path))?.[1] ?? 'odd';
    const filled = `${mount}${path === '/' ? '' : path}`.replace(/:\w+/, `{${noun}}`).replaceAll(/:\w+/g, '{odd}');
    return [{ method, path: filled, ...(route.body ? { body: plausible(route.body.schema('3.70')) } : {}) }];
  });
const volumeForms: readonly Form[] = [
  ...formsOf(volumeRoutes as never, '/volume'),
  { method: 'POST', path: '/volume/v3/volumes', body: { volume: { size: 1, name: 'n', imageRef: '{image}', metadata: { a: 'b' } } } },
  { method: 'POST', path: '/volume/v3/volumes', body: { volume: { size: 1, snapshot_id: '{snapshot}', volume_type: 't' } } },
  { method: 'POST', path: '/volume/v3/volumes/{volume}/action', body: { 'os-extend': { new_size: 2 } } },
  { method: 'POST', path: '/volume/v3/volumes/{volume}/action', body: { 'os-retype': { new_type: 't', migration_policy: 'never' } } },
  {
    method: 'POST',
    path: '/volume/v3/attachments',
    body: { attachment: { volume_uuid: '{spare}', instance_uuid: '{new}', connector: null } },
  },
];
const inventory = { total: 8, reserved: 0, min_unit: 1, max_unit: 8, step_size: 1, allocation_ratio: 1 };
const allocation = {
  allocations: { '{provider}': { resources: { VCPU: 1, MEMORY_MB: 64 } } },
  project_id: '{project}',
  user_id: '{user}',
  consumer_generation: null,
  consumer_type: 'INSTANCE',
};
const placementForms: readonly Form[] = [
  ...formsOf(placementRoutes as never, '/placement'),
  { method: 'POST', path: '/placement/resource_providers', body: { name: '{new}', uuid: '{new}', parent_provider_uuid: null } },
  { method: 'PUT', path: '/placement/resource_providers/{provider}', body: { name: 'renamed', parent_provider_uuid: null } },
  {
    method: 'PUT',
    path: '/placement/resource_providers/{provider}/inventories',
    body: { resource_provider_generation: 1, inventories: { VCPU: inventory } },
  },
  {
    method: 'PUT',
    path: '/placement/resource_providers/{provider}/inventories/VCPU',
    body: { resource_provider_generation: 1, ...inventory },
  },
  {
    method: 'PUT',
    path: '/placement/resource_providers/{provider}/traits',
    body: { resource_provider_generation: 1, traits: ['HW_CPU_X86_AVX'] },
  },
  {
    method: 'PUT',
    path: '/placement/resource_providers/{provider}/aggregates',
    body: { resource_provider_generation: 1, aggregates: ['{new}'] },
  },
  { method: 'PUT', path: '/placement/allocations/{new}', body: allocation },
  { method: 'POST', path: '/placement/allocations', body: { '{new}': allocation } },
  {
    method: 'POST',
    path: '/placement/reshaper',
    body: {
      inventories: { '{provider}': { inventories: { VCPU: inventory }, resource_provider_generation: 1 } },
      allocations: { '{new}': { ...allocation, consumer_generation: null } },
    },
  },
  { method: 'POST', path: '/placement/resource_classes', body: { name: 'CUSTOM_X' } },
  { method: 'GET', path: '/placement/allocation_candidates?resources=VCPU:1&required=in:A,B&in_tree={provider}&limit=2' },
  { method: 'GET', path: '/placement/allocation_candidates?resources1=VCPU:1&resources_A=DISK_GB:1&group_policy=none&same_subtree=1,_A' },
  { method: 'GET', path: '/placement/resource_providers?resources=VCPU:1&member_of=in:{new},{new}&required=!X' },
  { method: 'GET', path: '/placement/usages?project_id={project}&consumer_type=all' },
];
const WORDS = [
  'limit',
  'marker',
  'sort',
  'name',
  'status',
  'all_tenants',
  'metadata',
  'resources',
  'required',
  'member_of',
  'in_tree',
  'uuid',
  'group_policy',
  'same_subtree',
  'root_required',
  'resources1',
  'usage',
  'offset',
  'with_count',
  'is_public',
];

for (const [service, forms, versions] of [
  ['volume', volumeForms, ['volume 3.70', 'volume 3.70', 'volume 3.0', 'volume 3.27', 'volume 3.99', '']],
  ['placement', placementForms, ['placement 1.39', 'placement 1.39', 'placement 1.0', 'placement 1.12', 'placement latest', '']],
] as const)
  test(`${REQUESTS} odd requests to the ${service} service: no fault of ours`, { timeout: 600_000 }, async () => {
    const random: Dice = dice(SEED);
    const client = openClient(house.base);
    const wrong: string[] = [];
    const seen: Record<string, number> = {};
    const fill = (text: string) =>
      text.replaceAll(/\{([a-z]+)\}/g, (_all, noun: string) =>
        noun === 'odd'
          ? random.pick([...oddIds, 'a', 'VCPU'])
          : noun === 'new'
            ? randomUUID()
            : noun === 'none'
              ? 'f'.repeat(32)
              : (own[noun] ?? randomUUID()),
      );
    const one = async () => {
      const form = random.pick(forms);
      const as = service === 'placement' ? (random.chance(0.1) ? demo : admin) : random.chance(0.3) ? admin : demo;
      const ends = form.method === 'DELETE' || /force_delete/.test(JSON.stringify(form.body ?? ''));
      const path = ends || random.chance(0.1) ? form.path.replaceAll(/\{[a-z]+\}/g, '{odd}') : form.path;
      const sign = path.includes('?') ? '&' : '?';
      const value = () => encodeURIComponent(random.pick(texts).toWellFormed().slice(0, 1500));
      const query = random.chance(0.3)
        ? `${sign}${random.pick(WORDS)}=${value()}&${random.pick(WORDS)}=${random.pick(['1', '%ff', '%00', '-1', ''])}`
        : '';
      const raw =
        form.body === undefined
          ? form.method === 'GET'
            ? undefined
            : JSON.stringify(anyValue(random))
          : random.chance(0.15)
            ? JSON.stringify(form.body)
            : spoil(random, form.body);
      const target = fill(path + query).replaceAll(/[^\x21-\x7e]/g, '');
      const version = random.pick(versions);
      const headers = {
        'x-auth-token': as.token,
        'content-type': 'application/json',
        ...(version ? { 'openstack-api-version': version } : {}),
      };
      const body = raw === undefined ? undefined : fill(raw);
      const answer = await client.send(form.method, target, headers, body === undefined ? undefined : Buffer.from(body));
      seen[answer.status] = (seen[answer.status] ?? 0) + 1;
      if ((answer.status >= 500 && answer.status !== 501) || answer.status === 0)
        wrong.push(
          `${answer.status} ${form.method} ${target.slice(0, 250)} ${version} ${body?.slice(0, 900) ?? ''} -> ${answer.text.slice(0, 300)}`,
        );
    };
    for (let sent = 0; sent < REQUESTS; sent += 12) await Promise.all(Array.from({ length: 12 }, one));
    client.close();
    const told = `seed ${SEED}: ${JSON.stringify(seen)}`;
    if (process.env.SHOW) console.log(told);
    assert.deepEqual(wrong.slice(0, 10), [], `${wrong.length} wrong, ${told}`);
    assert.ok((seen[400] ?? 0) > REQUESTS / 20 && (seen[200] ?? 0) > REQUESTS / 20, told);
    const errors = readFileSync(join(house.dataDir, 'kilonova.log'), 'utf8')
      .split('\n')
      .filter((line) => /"level":(50|60)/.test(line))
      .map((line) => line.slice(0, 700));
    assert.deepEqual(errors.slice(0, 5), [], told);
  });
