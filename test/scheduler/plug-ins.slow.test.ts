import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { schedulerDefaults } from '../../src/services/scheduler/options.ts';
import { loadPlugins } from '../../src/services/scheduler/plugins/load-plugins.ts';
import { openHouse } from '../core-house.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/how-to/write-a-scheduler-plug-in.md'), 'utf8');
const examples = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');

let dir: string;
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'kilonova-plug-ins-'));
});
after(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, text: string | undefined) => {
  const path = join(dir, name);
  writeFileSync(path, text ?? '');
  return path;
};
const filterFile = (name: string, judge: string) => file(`${name}.mjs`, `export default { kind: 'filter', name: '${name}', ${judge} };`);
const load = (more: object) =>
  loadPlugins({ ...schedulerDefaults, name: 's', host: 's', seed: 1, ...more }, { clock: systemClock, timeoutMs: 1000 });

test('the how-to: a filter on a host attribute of its own, and a weigher, decide and are counted', async () => {
  const house = await openHouse({
    hosts: 0,
    scheduler: {
      available: ['nova.scheduler.filters.all_filters', file('rack-filter.mjs', examples[0])],
      enabledFilters: ['ComputeFilter', 'RackFilter'],
      weightClasses: ['nova.scheduler.weights.all_weighers', file('label-weigher.mjs', examples[1])],
    },
  });
  try {
    await house.startAgent('a', {}, { attributes: { rack: 'r1', label: '1' } });
    await house.startAgent('b', {}, { attributes: { rack: 'r7', label: '2' } });
    await house.startAgent('c', {}, { attributes: { rack: 'r7', label: '3' } });
    const [there = '', nowhere = ''] = [
      ...(await house.create({ extraSpecs: { rack: 'r7' } })),
      ...(await house.create({ extraSpecs: { rack: 'r9' } })),
    ];
    assert.equal((await house.settled(there))?.host, 'c');
    assert.match(
      (await house.settled(nowhere))?.fault?.message ?? '',
      /RackFilter.*it does not stand in rack r9.*All but RackFilter would take it\./,
    );
  } finally {
    await house.close();
  }
});

test('the how-to: a whole scheduler orders the hosts', async () => {
  const house = await openHouse({ hosts: 3, scheduler: { driver: file('first-fit.mjs', examples[2]) } });
  try {
    const servers = await house.create({ count: 3 });
    for (const uuid of servers) assert.equal((await house.settled(uuid))?.host, 'host-0');
    assert.match((await house.settled((await house.create({ vcpus: 100_000 }))[0]!))?.fault?.message ?? '', /No valid host was found/);
  } finally {
    await house.close();
  }
});

test('a plug-in that throws, never answers or ends its thread fails the request with its name, and the scheduler lives', async () => {
  const judge = `judge(host, wish) {
    if (wish.extraSpecs.deed === 'throw') throw new Error('no idea');
    if (wish.extraSpecs.deed === 'hang') for (;;);
    if (wish.extraSpecs.deed === 'wait') return new Promise(() => undefined);
    if (wish.extraSpecs.deed === 'exit') process.exit(3);
    if (wish.extraSpecs.deed === 'odd') return { yes: true };
    return true;
  }`;
  const house = await openHouse({ scheduler: { enabledFilters: [filterFile('OddFilter', judge)], pluginTimeoutMs: 300 } });
  try {
    const fault = async (deed: string) => {
      const [uuid = ''] = await house.create({ extraSpecs: { deed } });
      const server = await house.settled(uuid);
      return server?.vmState === 'error' ? server.fault?.message : server?.vmState;
    };
    assert.match((await fault('throw')) ?? '', /The scheduler plug-in OddFilter failed: no idea/);
    assert.match((await fault('hang')) ?? '', /OddFilter failed: it did not answer within 300 ms/);
    assert.match((await fault('wait')) ?? '', /OddFilter failed: it did not answer within 300 ms/);
    assert.match((await fault('exit')) ?? '', /OddFilter failed: it ended/);
    assert.match((await fault('odd')) ?? '', /OddFilter failed: it answered \{"yes":true\}; a filter answers true/);
    assert.equal(await fault('none'), 'active');
  } finally {
    await house.close();
  }
});

test('requests that come with one that fails are decided all the same', async () => {
  const judge = `judge(host, wish) { if (wish.extraSpecs.deed === 'throw') throw new Error('no idea'); return true; }`;
  const house = await openHouse({ scheduler: { enabledFilters: [filterFile('PickyFilter', judge)] } });
  try {
    const [bad, good] = await Promise.all([house.create({ extraSpecs: { deed: 'throw' }, count: 5 }), house.create({ count: 20 })]);
    for (const uuid of good) assert.equal((await house.settled(uuid))?.vmState, 'active');
    for (const uuid of bad) assert.equal((await house.settled(uuid))?.vmState, 'error');
  } finally {
    await house.close();
  }
});

test('what is no plug-in is refused at start, with its name and what is wrong', async () => {
  const refused = (path: string, sentence: RegExp, more: object = { enabledFilters: [path] }) => assert.rejects(load(more), sentence);
  await refused(join(dir, 'gone.mjs'), /plug-in .*gone\.mjs cannot be used: Cannot find module/);
  await refused(file('empty.mjs', ''), /empty\.mjs cannot be used: its default export is no object/);
  await refused(file('broken.mjs', 'export default {'), /broken\.mjs cannot be used: Unexpected/);
  await refused(file('kind.mjs', 'export default { kind: "fitler" }'), /its kind is "fitler"; it may be filter, weigher or scheduler/);
  await refused(file('name.mjs', 'export default { kind: "filter", judge() {} }'), /its name is undefined; it must be one word/);
  await refused(file('judge.mjs', 'export default { kind: "filter", name: "A" }'), /a filter must have a function judge/);
  const weigher = file('weigher.mjs', 'export default { kind: "weigher", name: "W", weigh: () => 1 }');
  await refused(weigher, /enabled_filters names .*weigher\.mjs, which is a weigher and no filter/);
  await refused(weigher, /scheduler_driver names .*weigher\.mjs, which is a weigher and no scheduler/, { driver: weigher });
});
