import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { driverContract, testGuest, testImage, testVolume } from '../../../test/contracts/driver.ts';
import { manualClock, systemClock } from '../../lib/clock.ts';
import type { Driver } from '../driver.ts';
import { createFakeDriver, type FakeDriverOptions } from './fake-driver.ts';

const image = testImage(Buffer.alloc(4096, 'placeholder'));
const never = new AbortController().signal;

for (const kept of [false, true]) {
  driverContract(kept ? 'fake, kept on disk' : 'fake', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'kilonova-fake-'));
    const make = () => createFakeDriver({ hostname: 'host-1', clock: systemClock, ...(kept ? { stateDir } : {}) });
    const driver = make();
    await driver.start();
    let other: Driver | undefined;
    const t = {
      driver,
      image,
      shortLived: { image, metadata: { 'fake:shutdown': 'after-spawn' } },
      crashing: { 'fake:crash': 'after-spawn' },
      crash: async () => {},
      files: async () => [],
      async other() {
        if (other) return other;
        other = createFakeDriver({ hostname: 'host-2', clock: systemClock });
        await other.start();
        return other;
      },
      volume: async () => ({ volume: testVolume({}), sizeBytes: async () => 1 }),
      consoleTells: () => /login:/,
      async restart(between?: () => Promise<void>) {
        await t.driver.close();
        await between?.();
        if (kept) t.driver = make(); // in memory only: the same object is all there is
        await t.driver.start();
        return t.driver;
      },
      async close() {
        await t.driver.close();
        await other?.close();
        await rm(stateDir, { recursive: true });
      },
    };
    return t;
  });
}

const started = async (more: Partial<FakeDriverOptions>) => {
  const driver = createFakeDriver({ hostname: 'host-1', clock: manualClock(), ...more });
  await driver.start();
  await driver.fetchImage(image.ref, async () => Readable.from([image.bytes]), never).catch(() => undefined);
  return driver;
};

test('fake: fails so many times before the effect, and after it when told to lose the reply', async () => {
  const driver = await started({ misbehaviour: { spawn: { failTimes: 1, loseReplies: 1 } } });
  const guest = testGuest(image.ref);
  await driver.createDisks(guest);
  await assert.rejects(driver.spawn(guest), /told to fail spawn/);
  assert.equal(await driver.guest(guest.uuid), undefined);
  await assert.rejects(driver.spawn(guest), /reply to spawn was lost/);
  assert.equal((await driver.guest(guest.uuid))?.power, 'running');
  await driver.spawn(guest);
});

test('fake: slow by the clock it was given', async () => {
  const clock = manualClock();
  const driver = await started({ clock });
  const guest = testGuest(image.ref, { metadata: { 'fake:spawn': 'slow:200' } });
  await driver.createDisks(guest);
  const spawned = driver.spawn(guest);
  await new Promise((resolve) => setImmediate(resolve)); // the deed reaches its wait
  await clock.advance(199);
  assert.equal(await driver.guest(guest.uuid), undefined);
  await clock.advance(1);
  await spawned;
  assert.equal((await driver.guest(guest.uuid))?.power, 'running');
});

test('fake: metadata fails a spawn always, on one host, or once over all hosts that share what happened', async () => {
  const happened = new Set<string>();
  const [one, two] = [await started({ happened }), await started({ happened, hostname: 'host-2' })];
  const wish = (what: string) => testGuest(image.ref, { metadata: { 'fake:spawn': what } });
  const [always, here, once] = [wish('fail'), wish('fail-on:host-1'), wish('fail-once')];
  for (const driver of [one, two]) for (const guest of [always, here, once]) await driver.createDisks(guest);
  await assert.rejects(one.spawn(always), /fake:spawn=fail/);
  await assert.rejects(two.spawn(always), /fake:spawn=fail/);
  await assert.rejects(one.spawn(here), /fail-on:host-1/);
  await two.spawn(here);
  await assert.rejects(one.spawn(once), /fail-once/);
  await two.spawn(once);
});

test('fake: a half line that a kill left in its file is dropped, what stood before it is kept', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'kilonova-fake-'));
  try {
    const driver = await started({ stateDir });
    const guest = testGuest(image.ref);
    await driver.createDisks(guest);
    await driver.spawn(guest);
    await driver.close();
    await appendFile(join(stateDir, 'fake-guests.jsonl'), '{"guest":{"spec":{"uuid":');
    const next = await started({ stateDir });
    assert.equal((await next.guest(guest.uuid))?.power, 'running');
    await next.close();
  } finally {
    await rm(stateDir, { recursive: true });
  }
});

test('fake: 500 guests in well under a second', async () => {
  const driver = await started({ clock: systemClock });
  const began = performance.now();
  await Promise.all(
    Array.from({ length: 500 }, async () => {
      const guest = testGuest(image.ref);
      await driver.fetchImage(image.ref, () => Promise.reject(new Error('cached')), never);
      await driver.createDisks(guest);
      await driver.spawn(guest);
    }),
  );
  assert.equal((await driver.guests()).length, 500);
  assert.ok(performance.now() - began < 500, `took ${performance.now() - began} ms`);
});
