import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Action, type ActionRule, actionRules, vmStates } from '../../../src/model/server-states.ts';
import { computeRoutes } from '../../../src/services/compute-api/app.ts';
import { noCatalogue } from '../../support/catalogue.ts';
import { catalogue } from '../servers/catalogue.ts';
import { PUBLIC_KEY, type Row, rows } from './rows.ts';
import { openWorld, pathOf, type World } from './world.ts';

const PATIENCE = { timeout: 300_000 };
const tasks = [
  ...['scheduling', 'block_device_mapping', 'networking', 'spawning', 'image_snapshot', 'image_snapshot_pending', 'image_pending_upload'],
  ...['image_uploading', 'image_backup', 'updating_password', 'resize_prep', 'resize_migrating', 'resize_migrated', 'resize_finish'],
  ...['resize_reverting', 'resize_confirming', 'rebooting', 'reboot_pending', 'reboot_started', 'rebooting_hard', 'reboot_pending_hard'],
  ...['reboot_started_hard', 'pausing', 'unpausing', 'suspending', 'resuming', 'powering-off', 'powering-on', 'rescuing', 'unrescuing'],
  ...['rebuilding', 'rebuild_block_device_mapping', 'rebuild_spawning', 'migrating', 'deleting', 'soft-deleting', 'restoring', 'shelving'],
  ...['shelving_image_pending_upload', 'shelving_image_uploading', 'shelving_offloading', 'unshelving'],
];

interface Act {
  readonly key: string;
  readonly row: Row;
  readonly rule: ActionRule;
  readonly at: string;
}
/** Every operation that asks a server's state, in every form that has a rule of its own. */
const acts: readonly Act[] = Object.entries(rows).flatMap(([key, row]) =>
  [row, ...(row.also ?? [])].flatMap((form) =>
    form.state === undefined
      ? []
      : [{ key, row: form, rule: actionRules[form.state], at: form.at ?? computeRoutes[key]?.until ?? '2.104' }],
  ),
);
/** Held elsewhere: test/stories/swap-volumes.slow.test.ts. */
const NEEDS_A_MOVING_VOLUME = 'PUT /servers/:id/os-volume_attachments/:volume';
/** Served operations on servers that change nothing which a state could forbid. */
const STATELESS = [
  'PUT /servers/:id', // a name may change at any time
  'DELETE /servers/:id/os-server-password',
];

let world: World;
/** Servers by state: `active`, or `active+pausing`. */
const standing = new Map<string, string>();
before(async () => {
  world = await openWorld();
  const firsts = new Set(acts.map(({ rule }) => rule.vm?.[0] ?? 'active'));
  const states = [
    ...vmStates.filter((vm) => vm !== 'deleted').map((vm) => [vm, null] as const),
    ...[...firsts].flatMap((vm) => tasks.map((task) => [vm, task] as const)),
  ];
  for (const [at, uuid] of world.clone(states).entries()) {
    const [vm = '', task] = states[at] ?? [];
    standing.set(task ? `${vm}+${task}` : vm, uuid);
  }
}, PATIENCE);
after(() => world.close());

test('every operation that changes a server has a state rule here, or is known to have none', () => {
  const changing = Object.keys(computeRoutes).filter((key) => /^(POST|PUT|DELETE) \/servers\/:id/.test(key) && key in rows);
  const without = changing.filter((key) => !acts.some((act) => act.key === key));
  assert.deepEqual(without.sort(), [...STATELESS].sort());
});

test('each rule is that of the catalogue', { skip: noCatalogue }, async () => {
  const { actions } = (await catalogue.states()) as { actions: readonly Facts[] };
  for (const { key, row, rule } of acts) {
    const id = row.stateId ?? `server-actions:${key.split('#')[1]}`;
    const facts = actions.filter(({ operation }) => operation === id);
    assert.ok(facts.length > 0, id);
    const wanted = (one: Facts) =>
      JSON.stringify([Array.isArray(one.requiredVmStates) ? [...one.requiredVmStates].sort() : 'any', one.lockChecked]);
    assert.ok(
      facts.some((one) => wanted(one) === JSON.stringify([rule.vm ? [...rule.vm].sort() : 'any', rule.lock])),
      `${id}: ${facts.map(wanted)} is not ours, ${JSON.stringify(rule)}`,
    );
  }
});
interface Facts {
  readonly operation: string;
  readonly requiredVmStates: readonly string[] | 'any' | null;
  readonly lockChecked: boolean;
}

test('409 in every vm_state and every task_state that does not allow it, and it says which', PATIENCE, async () => {
  const wrong: string[] = [];
  let asked = 0;
  for (const { key, row, rule, at } of acts) {
    if (key === NEEDS_A_MOVING_VOLUME) continue;
    const { path } = pathOf(key, row);
    const body = world.filled(row.body);
    const word = row.word ?? key.split('#')[1] ?? '';
    const refused = async (state: string, attribute: string, value: string) => {
      const uuid = standing.get(state) ?? '';
      const answer = await world.send(`${key.split(' ')[0]} ${world.fill(path.replace('{server}', uuid))}`, { as: row.as, at, body });
      asked++;
      const told = answer.message.includes(`Cannot '${word}' instance ${uuid} while it is in ${attribute} ${value}`);
      if (answer.status !== 409 || !told) wrong.push(`${key} in ${state}: ${answer.status} ${answer.text.slice(0, 250)}`);
    };
    for (const vm of vmStates) if (vm !== 'deleted' && rule.vm && !rule.vm.some((one) => one === vm)) await refused(vm, 'vm_state', vm);
    const first = rule.vm?.[0] ?? 'active';
    for (const task of tasks)
      if ((rule.task && !rule.task.includes(task)) || rule.notTask?.includes(task)) await refused(`${first}+${task}`, 'task_state', task);
  }
  if (process.env.SHOW) console.log(`${asked} asked, ${wrong.length} wrong\n${wrong.slice(0, Number(process.env.SHOW)).join('\n')}`);
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${asked}`);
  assert.ok(asked > 1000, `${asked}`);
});

test('409 for a locked server, where a lock counts, to all but operators', PATIENCE, async () => {
  const lock: Partial<Record<Action, true>> = {};
  const wrong: string[] = [];
  for (const { key, row, rule, at } of acts) {
    if (row.as || !rule.lock) continue;
    lock[row.state as Action] = true;
    const uuid = standing.get(rule.vm?.[0] ?? 'active') ?? '';
    await world.send(`POST /servers/${uuid}/action`, { body: { lock: null } });
    const { path } = pathOf(key, row);
    const answer = await world.send(`${key.split(' ')[0]} ${world.fill(path.replace('{server}', uuid))}`, {
      at,
      body: world.filled(row.body),
    });
    await world.send(`POST /servers/${uuid}/action`, { body: { unlock: null } });
    if (answer.status !== 409 || answer.message !== `Instance ${uuid} is locked`)
      wrong.push(`${key}: ${answer.status} ${answer.text.slice(0, 200)}`);
  }
  assert.deepEqual(wrong, []);
  assert.ok(Object.keys(lock).length > 20);
});

/** One way to ask for too much. `set` are the limits of compute; `used` and `limit` of the sentence. */
interface Over {
  readonly key: string;
  readonly at?: string;
  readonly set?: Readonly<Record<string, number>>;
  /** Limits of the network and volume services. */
  readonly network?: Readonly<Record<string, number>>;
  readonly volume?: Readonly<Record<string, number>>;
  readonly server?: string;
  readonly body: unknown;
  /** What the sentence holds: what was asked, what is used, the limit. */
  readonly says: RegExp;
}
const create = (more: object = {}) => ({ server: { name: 'n', flavorRef: '1', imageRef: '{image}', networks: 'none', ...more } });
const old = (more: object) => create({ networks: undefined, ...more });
const three = { a: '1', b: '2', c: '3' };
const file = (path: string, text: string) => ({ path, contents: Buffer.from(text).toString('base64') });
const overs: readonly Over[] = [
  {
    key: 'POST /servers',
    set: { instances: 1 },
    body: create(),
    says: /^Quota exceeded for instances: Requested 1, but already used \d+ of 1 instances$/,
  },
  {
    key: 'POST /servers',
    set: { cores: 1 },
    body: create(),
    says: /^Quota exceeded for cores: Requested 1, but already used \d+ of 1 cores$/,
  },
  {
    key: 'POST /servers',
    set: { ram: 64 },
    body: create(),
    says: /^Quota exceeded for ram: Requested 512, but already used \d+ of 64 ram$/,
  },
  {
    key: 'POST /servers',
    set: { instances: 2, cores: 1 },
    body: create({ min_count: 4 }),
    says: /cores, instances: Requested 4, 4, but already used \d+, \d+ of 1, 2/,
  },
  { key: 'POST /servers', set: { metadata_items: 2 }, body: create({ metadata: three }), says: /exceeds 2: 3 were asked for/ },
  {
    key: 'POST /servers',
    at: '2.36',
    set: { injected_files: 0 },
    body: old({ personality: [file('/a', 'a')] }),
    says: /1 files were asked for, 0 are allowed/,
  },
  {
    key: 'POST /servers',
    at: '2.36',
    set: { injected_file_path_bytes: 3 },
    body: old({ personality: [file('/long', 'a')] }),
    says: /exceeds maximum 3: it has 5 bytes/,
  },
  {
    key: 'POST /servers',
    at: '2.36',
    set: { injected_file_content_bytes: 2 },
    body: old({ personality: [file('/a', 'abc')] }),
    says: /exceeds maximum 2: it has 3 bytes/,
  },
  {
    key: 'POST /servers',
    set: { server_group_members: 0 },
    body: { ...create(), 'os:scheduler_hints': { group: '{group}' } },
    says: /too many servers in group. Requested 1, but already used 0 of 0/,
  },
  {
    key: 'POST /servers/:id/action#resize',
    set: { cores: 1 },
    server: 'active',
    body: { resize: { flavorRef: '3' } },
    says: /cores: Requested 1, but already used \d+ of 1/,
  },
  {
    key: 'POST /servers/:id/action#resize',
    set: { ram: 600 },
    server: 'active',
    body: { resize: { flavorRef: '2' } },
    says: /ram: Requested 1536, but already used \d+ of 600/,
  },
  {
    key: 'POST /servers/:id/action#restore',
    set: { instances: 1 },
    server: 'soft-delete',
    body: { restore: null },
    says: /instances: Requested 1, but already used \d+ of 1/,
  },
  {
    key: 'POST /servers/:id/action#rebuild',
    set: { metadata_items: 2 },
    server: 'active',
    body: { rebuild: { imageRef: '{image}', metadata: three } },
    says: /exceeds 2: 3/,
  },
  {
    key: 'POST /servers/:id/action#rebuild',
    at: '2.56',
    set: { injected_files: 0 },
    server: 'active',
    body: { rebuild: { imageRef: '{image}', personality: [file('/a', 'a')] } },
    says: /1 files were asked for, 0 are allowed/,
  },
  {
    key: 'POST /servers/:id/action#createImage',
    at: '2.38',
    set: { metadata_items: 2 },
    server: 'active',
    body: { createImage: { name: 'i', metadata: three } },
    says: /exceeds 2: 3/,
  },
  {
    key: 'POST /servers/:id/action#createBackup',
    at: '2.38',
    set: { metadata_items: 2 },
    server: 'active',
    body: { createBackup: { name: 'i', backup_type: 'daily', rotation: 1, metadata: three } },
    says: /exceeds 2: 3/,
  },
  { key: 'POST /servers/:id/metadata', set: { metadata_items: 2 }, server: 'active', body: { metadata: three }, says: /exceeds 2: [34]/ },
  { key: 'PUT /servers/:id/metadata', set: { metadata_items: 2 }, server: 'active', body: { metadata: three }, says: /exceeds 2: 3/ },
  {
    key: 'PUT /servers/:id/metadata/:key',
    set: { metadata_items: 1 },
    server: 'active',
    body: { meta: { fresh: '1' } },
    says: /exceeds 1: 2/,
  },
  {
    key: 'POST /os-keypairs',
    set: { key_pairs: 1 },
    body: { keypair: { name: 'k2', public_key: PUBLIC_KEY } },
    says: /too many key pairs. Requested 1, but already used 1 of 1/,
  },
  {
    key: 'POST /os-server-groups',
    set: { server_groups: 1 },
    body: { server_group: { name: 'g2', policy: 'affinity' } },
    says: /too many server groups. Requested 1, but already used 1 of 1/,
  },
  { key: 'POST /servers', network: { port: 1 }, body: create({ networks: [{ uuid: '{network}' }] }), says: /port/i },
  {
    key: 'POST /servers/:id/os-interface',
    network: { port: 1 },
    server: 'active',
    body: { interfaceAttachment: { net_id: '{network}' } },
    says: /port/i,
  },
  { key: 'POST /os-floating-ips', network: { floatingip: 1 }, body: { pool: null }, says: /over quota/ },
  {
    key: 'POST /os-security-groups',
    network: { security_group: 1 },
    body: { security_group: { name: 'n', description: 'd' } },
    says: /security_group/,
  },
  {
    key: 'POST /os-security-group-rules',
    network: { security_group_rule: 1 },
    body: { security_group_rule: { parent_group_id: '{securityGroup}', ip_protocol: 'tcp', from_port: 1, to_port: 2, cidr: '10.0.0.0/8' } },
    says: /security_group_rule/,
  },
  { key: 'POST /os-volumes', volume: { volumes: 1 }, body: { volume: { size: 1 } }, says: /volumes allowed \(1\)/ },
  {
    key: 'POST /os-volumes',
    volume: { gigabytes: 2 },
    body: { volume: { size: 2 } },
    says: /Requested 2G, quota is 2G and \d+G has been consumed/,
  },
  {
    key: 'POST /os-snapshots',
    volume: { snapshots: 1 },
    body: { snapshot: { volume_id: '{volume}', force: true } },
    says: /snapshots allowed \(1\)/,
  },
];

test('403 for what is over quota, and it says what was asked, what is used, and the limit', PATIENCE, async () => {
  const free = { instances: -1, cores: -1, ram: -1, server_groups: -1, key_pairs: -1, metadata_items: -1, server_group_members: -1 };
  const files = { injected_files: -1, injected_file_content_bytes: -1, injected_file_path_bytes: -1 };
  const project = world.own.demoProject ?? '';
  const compute = (limits: object) =>
    world.ask(world.admin, 'compute', `PUT /os-quota-sets/${project}`, { quota_set: { ...limits, force: true } }, '2.36');
  const wrong: string[] = [];
  const held: Record<string, string> = { active: world.own.server ?? '' };
  const uuid = await world.softDeleted();
  held['soft-delete'] = uuid;
  for (const over of overs) {
    await compute({ ...free, ...files, ...over.set });
    if (over.network) await world.ask(world.admin, 'network', `PUT /v2.0/quotas/${project}`, { quota: over.network });
    if (over.volume) await world.ask(world.admin, 'volume', `PUT /os-quota-sets/${project}`, { quota_set: over.volume });
    const row = rows[over.key];
    assert.ok(row, over.key);
    const { path } = pathOf(over.key, row);
    const place = `${over.key.split(' ')[0]} ${world.fill(path.replace('{server}', held[over.server ?? ''] ?? '{server}').replace('{metaKey}', 'fresh'))}`;
    const answer = await world.send(place, { at: over.at ?? computeRoutes[over.key]?.until ?? '2.104', body: world.filled(over.body) });
    if (answer.status !== 403 || !over.says.test(answer.message))
      wrong.push(`${over.key} ${JSON.stringify(over.set ?? over.network ?? over.volume)}: ${answer.status} ${answer.text.slice(0, 250)}`);
    if (over.network) await world.ask(world.admin, 'network', `DELETE /v2.0/quotas/${project}`);
    if (over.volume) await world.ask(world.admin, 'volume', `DELETE /os-quota-sets/${project}`);
  }
  await compute({ ...free, ...files });
  if (process.env.SHOW) console.log(wrong.join('\n'));
  assert.deepEqual(wrong, []);
});
