import assert from 'node:assert/strict';
import { statSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { requires } from '../../../test/requires.ts';
import { smallDisk } from '../../../test/servers/small-disk.ts';
import { type Entry, openJournal } from './journal.ts';

const entry = (uuid: string): Entry => ({
  uuid,
  epoch: 1,
  jobUuid: 'j'.repeat(3000),
  state: 'built',
  amounts: { VCPU: 1, MEMORY_MB: 1, DISK_GB: 1 },
});
const names = (dir: string) => {
  const journal = openJournal(dir, false);
  journal.close();
  return journal.all().map((one) => one.uuid);
};

test('a full disk: what could not be written was never there, what could is, and it goes on when there is room', {
  skip: requires('small-disk'),
}, () => {
  const disk = smallDisk(1);
  try {
    const journal = openJournal(disk.dir, false);
    const there: string[] = [];
    const putAll = (uuids: readonly string[]) => {
      for (const uuid of uuids) {
        journal.put(entry(uuid));
        there.push(uuid);
      }
    };
    putAll(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    disk.fill();
    truncateSync(disk.ballast, statSync(disk.ballast).size - 8192); // room for two, and a part of a third
    assert.throws(() => putAll(['i', 'j', 'k', 'l', 'm', 'n']), { code: 'ENOSPC' });
    disk.empty();
    putAll(['y', 'z']);
    journal.close();
    assert.deepEqual(names(disk.dir), there);
    disk.fill();
    truncateSync(disk.ballast, statSync(disk.ballast).size - 8192);
    assert.throws(() => openJournal(disk.dir, false), { code: 'ENOSPC' }, 'it is written anew when it is opened');
    disk.empty();
    assert.deepEqual(names(disk.dir), there);
  } finally {
    disk.remove();
  }
});
