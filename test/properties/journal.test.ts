import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFastPath } from '../../src/services/scheduler/fast/fast-path.ts';
import { keepJournal, rewindKept } from '../../src/services/scheduler/fast/journal.ts';
import { addPending, setUsed } from '../../src/services/scheduler/host-columns.ts';
import { loadJournals, saveJournals } from '../../src/services/scheduler/journal-file.ts';
import { rulesOf, schedulerDefaults } from '../../src/services/scheduler/options.ts';
import { type Choice, selectHosts } from '../../src/services/scheduler/select.ts';
import { askOf, columnsOf, NOW, put, request, unlikeHost } from './cloud.ts';

const rules = rulesOf({ ...schedulerDefaults, name: 's', host: 's', seed: 1 });
const plainly = (choice: Choice) => ({ hosts: choice.hosts.map(({ host, weight }) => [host.host, weight]), reasons: choice.reasons });
const deed = fc.oneof(
  { weight: 4, arbitrary: fc.record({ deed: fc.constant('select' as const), vcpus: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ deed: fc.constant('used' as const), at: fc.nat(11), used: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ deed: fc.constant('host' as const), at: fc.nat(11), host: unlikeHost, disabled: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ deed: fc.constant('pass' as const), seconds: fc.constantFrom(1, 40, 61) }) },
);

test('a decision made again on the hosts of its moment is the same decision, whatever came after, and after a restart', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-journal-'));
  const file = join(dir, 'journal.json');
  assert.deepEqual(loadJournals(file), []);
  await fc.assert(
    fc.asyncProperty(fc.array(unlikeHost, { minLength: 12, maxLength: 12 }), fc.array(deed, { maxLength: 60 }), async (hosts, deeds) => {
      const columns = columnsOf(hosts);
      const path = createFastPath(columns, rules);
      const journal = keepJournal(columns, path.stateOf);
      let now = NOW;
      const made: { seed: number; ask: ReturnType<typeof askOf>; was: unknown }[] = [];
      for (const [turn, one] of deeds.entries()) {
        if (one.deed === 'used') setUsed(columns, one.at, { VCPU: one.used, MEMORY_MB: one.used * 100, DISK_GB: one.used });
        else if (one.deed === 'host') put(columns, one.at, { ...one.host, disabled: one.disabled, lastSeenAt: now });
        else if (one.deed === 'pass') now += one.seconds * 1_000_000;
        else {
          const ask = askOf(request({ amounts: { VCPU: one.vcpus, MEMORY_MB: 2048, DISK_GB: 5 } }), now);
          const choice = path.select(rules, ask, turn);
          journal.follow();
          journal.mark(turn, 'one', now, new Map(), false);
          made.push({ seed: turn, ask, was: plainly(choice) });
          if (choice.hosts[0]) addPending(columns, choice.hosts[0].host.index, ask.request.amounts, 1);
        }
      }
      for (const { seed, ask, was } of made) {
        const old = journal.rewind(seed, 'one')!;
        assert.deepEqual(plainly(selectHosts(old.columns, rules, ask, 0)), was);
      }
      assert.equal(journal.rewind(1000, 'one'), undefined);
      assert.equal(made[0] && journal.rewind(made[0].seed, 'another'), undefined);
      await saveJournals(file, [journal.kept()]);
      const [kept] = loadJournals(file);
      for (const { seed, ask, was } of made) {
        const old = rewindKept(kept!, seed, 'one', null)!;
        assert.deepEqual(plainly(selectHosts(old.columns, rules, ask, 0)), was);
      }
    }),
    { numRuns: 60 },
  );
  rmSync(dir, { recursive: true });
});
