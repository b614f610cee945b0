import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schedulerDefaults } from '../options.ts';
import { csvOf, plot } from './plot.ts';
import { classes, type Simulation, simulate } from './simulate.ts';
import { readTrace, synthesize } from './trace.ts';

const run = (more: Partial<Simulation> & Pick<Simulation, 'trace'>) => {
  let ticks = 0;
  return simulate({
    machines: Array.from({ length: 4 }, () => ({ vcpus: 8, memoryMiB: 16_384, diskGiB: 200 })),
    ratios: { vcpu: 4, memory: 1, disk: 1 },
    options: { ...schedulerDefaults, name: 's', host: 's', seed: 1 },
    every: 60,
    stopwatch: () => ticks++,
    ...more,
  });
};

test('servers come, are placed while there is room, and leave room behind', () => {
  const head = 'at,memory_mib,vcpus,disk_gib,lifetime\n';
  const full = Array.from({ length: 5 }, (_, at) => `${at},16384,1,10,100`).join('\n');
  const { placed, refused, causes, refusedByFragmentation, peak } = run({ trace: readTrace(`${head}${full}\n105,16384,1,10,\n`) });
  assert.deepEqual([placed, refused, refusedByFragmentation], [5, 1, 0]);
  assert.deepEqual(causes, [{ filter: 'Resources', why: 'not enough free MiB of memory', count: 1 }]);
  assert.equal(peak.MEMORY_MB, 1);
});

test('what fits nowhere but would fit all hosts together is counted apart, and what it strands', () => {
  const halves = Array.from({ length: 4 }, (_, at) => `${at},9000,1,10,`).join('\n');
  const report = run({ trace: readTrace(`at,memory_mib,vcpus,disk_gib,lifetime\n${halves}\n5,9000,1,10,\n600,9000,1,10,`) });
  assert.equal(report.refused, 2);
  assert.equal(report.refusedByFragmentation, 2);
  const last = report.samples.at(-1)!;
  assert.ok(Math.abs(last.stranded.MEMORY_MB - (4 * 7384) / (4 * 16_384)) < 1e-9);
  assert.ok(last.bound.MEMORY_MB > last.used.MEMORY_MB);
});

test('the same seed gives the same run; nothing is ever overcommitted; picture and table have every sample', () => {
  const trace = () => synthesize({ seed: 7, servers: 2000, rate: 0.2, lifetime: 600 });
  const [one, two] = [run({ trace: trace() }), run({ trace: trace() })];
  assert.deepEqual(one, two);
  assert.notDeepEqual(trace(), synthesize({ seed: 8, servers: 2000, rate: 0.2, lifetime: 600 }));
  assert.equal(one.placed + one.refused, 2000);
  assert.ok(one.refused > 0);
  for (const sample of one.samples) for (const name of classes) assert.ok(sample.used[name] <= 1 && sample.bound[name] <= 1);
  assert.equal(csvOf(one).trim().split('\n').length, one.samples.length + 1);
  assert.equal(plot(one).match(/<polyline /g)?.length, 9);
});

test('a trace that cannot be read says where', () => {
  assert.throws(() => readTrace('at,vcpus\n1,2'), /lacks memory_mib, disk_gib/);
  assert.throws(
    () => readTrace('at,vcpus,memory_mib,disk_gib\n0,1,512,1\n1,none,512,1'),
    /line 3 of the trace: vcpus must be a number from 1, not "none"/,
  );
});
