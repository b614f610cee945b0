import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newUuid } from '../../src/lib/ids.ts';
import { openPlacementHouse, type PlacementHouse } from './house.ts';

let house: PlacementHouse;
const SHARES = 'MISC_SHARES_VIA_AGGREGATE';
const [rack, elsewhere] = [newUuid(), newUuid()];
const at: Record<string, string> = {};
before(async () => {
  house = await openPlacementHouse();
  const put = async (name: string, wish: Omit<Parameters<PlacementHouse['provider']>[0], 'name'>) => {
    at[name] = await house.provider({ name, ...wish });
    return at[name];
  };
  // Two hosts that borrow their disks in one rack; the first one's processors lie in two nodes, the second one is flat and has a disk of its own.
  const first = await put('first', { traits: ['COMPUTE_NODE'], aggregates: [rack] });
  await put('first-a', { parent: first, has: { VCPU: 4, MEMORY_MB: 4096 }, traits: ['HW_CPU_X86_AVX'] });
  const b = await put('first-b', { parent: first, has: { VCPU: 4, MEMORY_MB: 4096 } });
  await put('card', { parent: b, has: { VGPU: 1 }, traits: ['CUSTOM_FAST'] });
  await put('second', { has: { VCPU: 8, MEMORY_MB: { total: 8192, max_unit: 2048 }, DISK_GB: 50 }, aggregates: [rack] });
  await put('disks', { has: { DISK_GB: 1000 }, traits: [SHARES], aggregates: [rack] });
  await put('far', { has: { VCPU: 8, MEMORY_MB: 8192 }, aggregates: [elsewhere] });
});
after(() => house.close());

interface Request {
  readonly allocations: Record<string, { resources: Record<string, number> }>;
  readonly mappings?: Record<string, string[]>;
}
const nameOf = (uuid: string) => Object.keys(at).find((name) => at[name] === uuid) ?? uuid;
/** Who would give, by name, one text for each candidate. */
async function candidates(query: string, version = 'latest'): Promise<string[]> {
  const { status, body, text } = await house.ask(`GET /allocation_candidates?${query}`, { at: version });
  assert.equal(status, 200, text);
  const named = body.allocation_requests.map(({ allocations }: Request) => Object.keys(allocations).map(nameOf).sort().join('+'));
  return named.sort();
}

test('a wish without groups may take from several providers of a tree and from those who lend to it', async () => {
  assert.deepEqual(await candidates('resources=VCPU:2,DISK_GB:10'), ['disks+first-a', 'disks+first-b', 'disks+second', 'second']);
  assert.deepEqual(await candidates('resources=VCPU:2,DISK_GB:100'), ['disks+first-a', 'disks+first-b', 'disks+second']);
  assert.deepEqual(await candidates(`resources=VCPU:2&member_of=${elsewhere}`), ['far']);
  assert.deepEqual(await candidates(`resources=VCPU:2&member_of=!${rack}`), ['far']);
  assert.deepEqual(await candidates(`resources=VCPU:2&member_of=in:${rack},${elsewhere}&member_of=${rack}`), [
    'first-a',
    'first-b',
    'second',
  ]);
});

test('traits: required of those who give together, forbidden to each, one of several, of the root', async () => {
  assert.deepEqual(await candidates('resources=VCPU:1&required=HW_CPU_X86_AVX'), ['first-a']);
  assert.deepEqual(await candidates('resources=VCPU:1,VGPU:1&required=HW_CPU_X86_AVX,CUSTOM_FAST'), ['card+first-a']);
  assert.deepEqual(await candidates('resources=VCPU:1&required=!HW_CPU_X86_AVX'), ['far', 'first-b', 'second']);
  assert.deepEqual(await candidates('resources=VGPU:1&required=in:HW_CPU_X86_AVX,CUSTOM_FAST'), ['card']);
  assert.deepEqual(await candidates('resources=VCPU:1&root_required=COMPUTE_NODE'), ['first-a', 'first-b']);
  assert.deepEqual(await candidates('resources=VCPU:1&root_required=!COMPUTE_NODE'), ['far', 'second']);
});

test('groups: each from one provider, apart when isolated, under one another when they share a subtree', async () => {
  const two = 'resources1=VCPU:2&resources2=VCPU:2';
  assert.deepEqual(await candidates(`${two}&group_policy=isolate&in_tree1=${at.first}`), ['first-a+first-b', 'first-a+first-b']);
  assert.equal((await candidates(`${two}&group_policy=none&in_tree1=${at.first}`)).length, 4);
  const gpu = 'resources_CPU=VCPU:1&resources_GPU=VGPU:1&group_policy=none';
  assert.deepEqual(await candidates(gpu), ['card+first-a', 'card+first-b']);
  assert.deepEqual(await candidates(`${gpu}&same_subtree=_CPU,_GPU`), ['card+first-b']);
  const { body } = await house.ask(`GET /allocation_candidates?${gpu}&same_subtree=_CPU,_GPU`);
  assert.deepEqual(body.allocation_requests[0].mappings, { _CPU: [at['first-b']], _GPU: [at.card] });
  assert.equal(body.provider_summaries[at.card ?? ''].parent_provider_uuid, at['first-b']);
  assert.equal(Object.keys(body.provider_summaries).length, 4, 'the whole tree, and nothing else');
});

test('what two groups take of one provider is added up, and no larger than what one may take at once', async () => {
  const wish = (a: number, b: number) =>
    `resources1=MEMORY_MB:${a}&resources2=MEMORY_MB:${b}&group_policy=none&in_tree1=${at.second}&in_tree2=${at.second}`;
  assert.deepEqual(await candidates(wish(1024, 1024)), ['second']);
  assert.deepEqual(await candidates(wish(1024, 1025)), []);
});

test('versions that know no trees get at most one provider of each', async () => {
  assert.deepEqual(await candidates('resources=VCPU:1,VGPU:1', '1.28'), []);
  assert.deepEqual(await candidates('resources=VCPU:1,VGPU:1', '1.29'), ['card+first-a', 'card+first-b']);
  const old = await house.ask('GET /allocation_candidates?resources=VCPU:1', { at: '1.11' });
  assert.ok(Array.isArray(old.body.allocation_requests[0].allocations));
});

test('a limit cuts, summaries follow; every candidate can be claimed as it stands, and then it is used up', async () => {
  const limited = (await house.ask('GET /allocation_candidates?resources=VCPU:1&limit=1')).body;
  assert.equal(limited.allocation_requests.length, 1);
  for (let turn = 0; turn < 10; turn++) {
    const { body } = await house.ask('GET /allocation_candidates?resources=VCPU:4,DISK_GB:20');
    const [first] = body.allocation_requests as Request[];
    if (!first) return assert.equal(turn, 4, 'four hosts’ worth of VCPU:4 with a disk in reach');
    const body2 = { ...first, project_id: 'p', user_id: 'u', consumer_generation: null, consumer_type: 'INSTANCE' };
    assert.equal((await house.ask(`PUT /allocations/${newUuid()}`, { body: body2 })).status, 204);
  }
  assert.fail('candidates never ended');
});

test('what cannot be meant is refused and says why', async () => {
  for (const [query, why] of [
    ['resources=VCPU:0', /amount >= 1/],
    ['resources=NOTHING:1', /No such resource class NOTHING/],
    ['resources=VCPU:1&required=CUSTOM_NOBODY_HAS', /No such trait\(s\): CUSTOM_NOBODY_HAS/],
    ['resources1=VCPU:1&resources2=VCPU:1', /group_policy/],
    ['resources=VCPU:1&required=COMPUTE_NODE,!COMPUTE_NODE', /Conflicting required and forbidden/],
    ['required=COMPUTE_NODE', /at least one resources/],
    ['resources=VCPU:1&bogus=1', /does not match any of the regexes/],
    ['resources=VCPU:1&limit=0', /limit|'0'/],
  ] as const) {
    const { status, body } = await house.ask(`GET /allocation_candidates?${query}`);
    assert.equal(status, 400, query);
    assert.match(body.errors[0].detail, why);
  }
});

test('config: how many are looked for, one of each tree in turn, and by chance', async () => {
  const wide = async (candidates: NonNullable<Parameters<typeof openPlacementHouse>[0]>['candidates']) => {
    const other = await openPlacementHouse({ candidates: candidates ?? {} });
    const names: Record<string, string> = {};
    for (const tree of ['one', 'two', 'three']) {
      const root = await other.provider({ name: tree, traits: [] });
      for (const child of ['a', 'b', 'c'])
        names[await other.provider({ name: `${tree}-${child}`, parent: root, has: { VGPU: 1 } })] = `${tree}-${child}`;
    }
    const ask = async (query = '') => {
      const { body } = await other.ask(`GET /allocation_candidates?resources=VGPU:1${query}`);
      const shown = new Set(Object.keys(body.provider_summaries).map((uuid) => names[uuid]?.split('-')[0]));
      const given = body.allocation_requests.map(({ allocations }: Request) => names[Object.keys(allocations)[0] ?? ''] ?? '') as string[];
      assert.deepEqual([...new Set(given.map((name) => name.split('-')[0]))].sort(), [...shown].filter(Boolean).sort());
      return given;
    };
    return { ask, close: other.close };
  };
  const treesOf = (names: readonly string[]) => names.map((name) => name.split('-')[0]);
  const deep = await wide({ max: 4 });
  const broad = await wide({ max: 4, breadthFirst: true });
  let state = 7;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
  const chance = await wide({ randomize: true, random });
  try {
    assert.deepEqual(treesOf(await deep.ask()), ['one', 'one', 'one', 'two']);
    assert.deepEqual(treesOf(await deep.ask('&limit=2')), ['one', 'one']);
    assert.deepEqual(treesOf(await broad.ask()), ['one', 'two', 'three', 'one']);
    assert.deepEqual(treesOf(await broad.ask('&limit=3')), ['one', 'two', 'three']);
    const all = await chance.ask();
    assert.equal(new Set(all).size, 9);
    const orders = new Set<string>();
    const drawn = new Set<string>();
    for (let turn = 0; turn < 40; turn++) {
      orders.add(String(await chance.ask()));
      const two = await chance.ask('&limit=2');
      assert.equal(new Set(two).size, 2);
      for (const name of two) drawn.add(name);
    }
    assert.ok(orders.size > 10);
    assert.equal(drawn.size, 9);
  } finally {
    await Promise.all([deep.close(), broad.close(), chance.close()]);
  }
});
