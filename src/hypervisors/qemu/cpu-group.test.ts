import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { testGuest } from '../../../test/contracts/driver.ts';
import { cpuLimits, dropCpuGroup, findCpuGroups, groupFiles, joinCpuGroup } from './cpu-group.ts';

// What needs no control groups of one's own: folders stand for them. The kernel's side is in machine.slow.test.ts.
const image = { id: 'an-image', diskFormat: 'qcow2', sizeBytes: 1, hashAlgo: 'sha512', hashValue: 'f'.repeat(128) } as const;
const guest = (extraSpecs: Record<string, string>) => testGuest(image, { vcpus: 2, extraSpecs });
const limited = guest({ 'quota:cpu_quota': '20000', 'quota:cpu_shares': '1024' });

describe('CPU time of guests', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'kn-groups-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  /** Where a process of these groups finds a place; paths of folders are below the root. */
  const found = (lines: readonly string[]) => {
    writeFileSync(join(root, 'self'), `${lines.join('\n')}\n`);
    const groups = findCpuGroups(root, join(root, 'self'));
    return groups && [groups.version, groups.folder.slice(root.length)];
  };

  test('what the kernel is told, in both of its forms', () => {
    const limits = cpuLimits(limited);
    assert.deepEqual(limits, { shares: 1024, periodUs: 100_000, quotaUs: 20_000 });
    assert.deepEqual(groupFiles({ version: 1 }, limits!, 2), [
      ['cpu.shares', '1024'],
      ['cpu.cfs_period_us', '100000'],
      ['cpu.cfs_quota_us', '40000'],
    ]);
    assert.deepEqual(groupFiles({ version: 2 }, limits!, 2), [
      ['cpu.weight', '39'],
      ['cpu.max', '40000 100000'],
    ]);
    assert.equal(cpuLimits(guest({})), null);
    assert.equal(cpuLimits(guest({ 'quota:cpu_quota': '-1' }))?.quotaUs, null);
    assert.throws(() => cpuLimits(guest({ 'quota:cpu_period': '5' })), /quota:cpu_period=5 is not between/);
  });

  test('a place is found by the groups this process is in: of the first form, of the second with CPU time in it, or none', () => {
    assert.equal(findCpuGroups('/nonexistent'), null);
    assert.equal(findCpuGroups(root, join(root, 'nonexistent')), null);
    mkdirSync(join(root, 'cpu,cpuacct/agent'), { recursive: true });
    assert.deepEqual(found(['5:memory:/agent', '4:cpu,cpuacct:/agent', '0::/agent']), [1, '/cpu,cpuacct/agent']);
    assert.equal(found(['5:memory:/agent', '4:cpuset:/agent']), null);
    mkdirSync(join(root, 'agent'));
    assert.equal(found(['0::/agent']), null);
    writeFileSync(join(root, 'agent/cgroup.subtree_control'), 'cpuset memory\n');
    assert.equal(found(['0::/agent']), null, 'a CPU set is not CPU time');
    writeFileSync(join(root, 'agent/cgroup.subtree_control'), 'cpu memory\n');
    assert.deepEqual(found(['0::/agent']), [2, '/agent']);
  });

  test('a guest with limits gets a group with its process in it; one without gets none; a host that has none says so', async () => {
    const groups = { folder: root, version: 2 } as const;
    await joinCpuGroup(groups, guest({}), 4711);
    assert.deepEqual(readdirSync(root), []);
    await joinCpuGroup(groups, limited, 4711);
    await joinCpuGroup(groups, limited, 4711); // said twice
    assert.deepEqual(readdirSync(root), [`kilonova-${limited.uuid}`]);
    const read = (name: string) => readFileSync(join(root, `kilonova-${limited.uuid}`, name), 'utf8');
    assert.deepEqual([read('cpu.max'), read('cgroup.procs')], ['40000 100000', '4711']);
    await assert.rejects(joinCpuGroup(null, limited, 4711), /cannot limit the CPU time of guests/);
    await assert.rejects(joinCpuGroup({ ...groups, folder: join(root, 'self', 'gone\0') }, limited, 4711), /could not be limited/);
  });

  test('a group is taken away once, and one that is not there is no trouble', () => {
    const groups = { folder: root, version: 1 } as const;
    mkdirSync(join(root, 'kilonova-one'));
    assert.deepEqual([dropCpuGroup(groups, 'one'), dropCpuGroup(groups, 'one'), dropCpuGroup(null, 'one')], [true, true, true]);
    assert.deepEqual(readdirSync(root), []);
  });
});
