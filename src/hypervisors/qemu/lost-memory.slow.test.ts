import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { testGuest, until } from '../../../test/contracts/driver.ts';
import { requires } from '../../../test/requires.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import type { CloudError } from '../../model/errors.ts';
import type { Driver, GuestSpec, MoveOffer } from '../driver.ts';
import type { GuestRecord } from './guest-journal.ts';
import { usualRules } from './live-move.ts';
import { createQemuDriver } from './qemu-driver.ts';
import { buttonGuest } from './test-guests.ts';

const image = buttonGuest();
const never = new AbortController().signal;
/** So slow that even empty memory takes long. */
const liveMoves = { ...usualRules, postCopy: true, bytesPerSecond: 40 * 1024, silentMs: 1500 };

describe('a guest runs on the other host, and the rest of its memory does not come', { skip: requires('qemu') }, () => {
  let folder: string;
  let here: Driver;
  let there: Driver;
  let guest: GuestSpec;
  const make = async (hostname: string) => {
    const stateDir = join(folder, hostname);
    const driver = createQemuDriver({ hostname, stateDir, clock: systemClock, log: silentLog, acceleration: 'tcg', liveMoves });
    await driver.start();
    return driver;
  };
  const recordOf = async (host: string): Promise<GuestRecord | undefined> => {
    const text = await readFile(join(folder, host, 'instances', guest.uuid, 'guest.json'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as GuestRecord); // written by the driver
  };
  /** Sends it until it runs there in part; answers the offer, and how the move ends. */
  const inPart = async (by = (offer: MoveOffer) => offer): Promise<{ offer: MoveOffer; ended: Promise<unknown> }> => {
    const offer = by(await there.prepareIncoming(guest));
    let seen = 0;
    let forced = false;
    const ended = here
      .migrateLive(guest.uuid, offer, never, ({ memoryProcessed }) => {
        if (memoryProcessed === 0) return;
        seen++;
        if (forced) return;
        forced = true;
        void here.forceMigration(guest.uuid);
      })
      .then(
        () => 'it arrived',
        (cause: unknown) => cause,
      );
    await until(
      'it runs there',
      () => recordOf('there'),
      (record) => record?.arriving === true,
    );
    const before = seen; // the host it comes from has heard so when it looks at the memory again
    await until(
      'its memory follows',
      async () => seen,
      (now) => now > before + 1,
    );
    return { offer, ended };
  };
  const lost = (driver: Driver) =>
    until(
      'it is lost',
      async () => (await driver.guest(guest.uuid))?.power,
      (power) => power === 'crashed',
      30_000,
    );

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kn-lost-'));
    [here, there] = [await make('here'), await make('there')];
    for (const one of [here, there]) await one.fetchImage(image.ref, async () => Readable.from([image.bytes]), never);
    guest = testGuest(image.ref, { rootGiB: 1, ephemeralGiB: 0, swapMiB: 0, nics: [] });
    await here.createDisks(guest);
    await here.spawn(guest);
  });
  afterEach(async () => {
    for (const driver of [here, there]) {
      for (const one of await driver.guests()) await driver.destroy(one.uuid);
      await driver.close();
    }
    await rm(folder, { recursive: true, force: true });
  });

  test('the driver that takes it dies: the guest is the other host’s, turned off, and starts there from its disks', async () => {
    const { ended } = await inPart();
    await there.close();
    assert.equal(((await ended) as { code?: string }).code, 'guest.lost_there');
    assert.equal(await here.guest(guest.uuid), undefined);
    there = await make('there');
    await lost(there);
    assert.equal(await there.claimIncoming(guest.uuid), 'lost');
    await there.reboot(guest, 'hard', 0);
    assert.equal((await there.guest(guest.uuid))?.power, 'running');
    assert.equal((await recordOf('there'))?.arriving, false);
  });

  test('the driver that sends it dies: the other one gives the guest up by itself, and the first says so when it is asked again', async () => {
    const { offer } = await inPart();
    await here.close();
    await lost(there);
    assert.equal((await there.guest(guest.uuid))?.pid, null);
    here = await make('here');
    assert.deepEqual(await here.guests(), [], 'it has left, and does not go on here');
    await assert.rejects(
      here.migrateLive(guest.uuid, offer, never, () => {}),
      { code: 'guest.lost_there' },
    );
    assert.equal(await there.claimIncoming(guest.uuid), 'lost');
  });

  test('a line that nobody closes and nothing comes by: both give it up', async () => {
    const lines: Socket[] = [];
    const path = join(folder, 'between.sock');
    const between = createServer((near) => {
      const far = connect(join(folder, 'there', 'moves.sock'));
      for (const one of [near, far]) one.on('error', () => undefined);
      near.pipe(far);
      far.pipe(near);
      lines.push(near, far);
    }).listen(path);
    try {
      const { ended } = await inPart((offer) => ({ ...offer, path }));
      for (const line of lines) line.unpipe().pause();
      const said = (await ended) as CloudError;
      assert.deepEqual([said.code, /took no memory for 1.5 s/.test(said.message)], ['guest.lost_there', true], said.message);
      assert.equal(await here.guest(guest.uuid), undefined);
      await lost(there);
    } finally {
      for (const line of lines) line.destroy();
      between.close();
    }
  });

  test('an emulator that is killed takes the memory with it; a guest that was only expected is nobody’s but its old host’s', async () => {
    const { ended } = await inPart();
    process.kill((await there.guest(guest.uuid))?.pid ?? 0, 'SIGKILL');
    assert.equal(((await ended) as { code?: string }).code, 'guest.lost_there');
    await lost(there);
    await there.removeDisks(guest.uuid);
    assert.equal(await there.claimIncoming(guest.uuid), 'none');
    await here.removeDisks(guest.uuid);
    await here.createDisks(guest);
    await here.spawn(guest);
    const pid = (await here.guest(guest.uuid))?.pid;
    await there.prepareIncoming(guest);
    assert.equal(await there.claimIncoming(guest.uuid), 'none', 'nothing was sent, and nothing can be any more');
    assert.equal((await here.guest(guest.uuid))?.pid, pid);
  });
});
