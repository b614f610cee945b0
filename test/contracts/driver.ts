import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type {
  Driver,
  GuestEvent,
  GuestNic,
  GuestSpec,
  GuestVolume,
  ImageRef,
  MoveProgress,
  RescueSpec,
} from '../../src/hypervisors/driver.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { CloudError } from '../../src/model/errors.ts';

/** A driver with what its test needs around it. `make` gives one with an empty state, started. */
export interface DriverUnderTest {
  driver: Driver;
  /** Closes the driver and starts another on the same state, as a restarted agent does; `between` runs while there is none. */
  restart(between?: () => Promise<void>): Promise<Driver>;
  /** What guests boot from; they stay up and obey a shutdown request. */
  readonly image: TestImage;
  /** A guest that shuts itself down soon after it was started. */
  readonly shortLived: { readonly image: TestImage; readonly metadata: Readonly<Record<string, string>> };
  /** Metadata of a guest that crashes when `crash` is called after its spawn, at the latest. */
  readonly crashing: Readonly<Record<string, string>>;
  crash(uuid: string): Promise<void>;
  /** Every file the driver keeps for guests and images now, by path. */
  files(): Promise<readonly string[]>;
  /** A sentence of the guest that its console is sure to tell. */
  consoleTells(guest: GuestSpec): RegExp;
  /** A new volume of 1 MiB on this host, and how many bytes it has. */
  volume(): Promise<{ readonly volume: GuestVolume; sizeBytes(): Promise<number> }>;
  /** Another started driver of the same type with a state of its own, as on a second host; the same one each time. */
  other(): Promise<Driver>;
  /** Ends guests that still run and removes the state. */
  close(): Promise<void>;
}
export interface TestImage {
  readonly ref: ImageRef;
  readonly bytes: Buffer;
}

export const testImage = (bytes: Buffer, more: Partial<ImageRef> = {}): TestImage => ({
  bytes,
  ref: {
    id: newUuid(),
    diskFormat: 'raw',
    sizeBytes: bytes.length,
    hashAlgo: 'sha512',
    hashValue: createHash('sha512').update(bytes).digest('hex'),
    ...more,
  },
});

export const testVolume = (connection: Readonly<Record<string, unknown>>): GuestVolume => ({
  volumeId: newUuid(),
  device: '/dev/vdb',
  bus: null,
  readOnly: false,
  bootIndex: null,
  tag: null,
  sizeGiB: 1,
  connection,
});
const testNic = (address: string): GuestNic => ({
  portId: newUuid(),
  networkId: newUuid(),
  mac: `fa:16:3e:00:01:${address.split('.').at(-1)?.padStart(2, '0')}`,
  mtu: 1500,
  addresses: [{ address, cidr: '172.24.0.0/16', gateway: '172.24.0.1' }],
  nameServers: [],
});

let serial = 0;
export function testGuest(image: ImageRef | null, more: Partial<GuestSpec> = {}): GuestSpec {
  serial++;
  return {
    uuid: newUuid(),
    name: `instance-${serial.toString(16).padStart(8, '0')}`,
    epoch: 1,
    projectId: 'a'.repeat(32),
    userId: 'b'.repeat(32),
    displayName: `guest-${serial}`,
    vcpus: 1,
    memoryMiB: 64,
    rootGiB: 1,
    ephemeralGiB: 0,
    swapMiB: 0,
    image,
    kernel: null,
    ramdisk: null,
    kernelCommandLine: null,
    imageProperties: {},
    extraSpecs: {},
    nics: [],
    volumes: [],
    configDrive: null,
    metadataSocket: null,
    metadata: {},
    ...more,
  };
}

const isError = (code: string) => (cause: unknown) => {
  assert.ok(cause instanceof CloudError, `not a CloudError: ${cause}`);
  assert.equal(cause.code, code, cause.message);
  return true;
};

/** Looks again until it holds; what was last seen is in the failure. */
export async function until<T>(what: string, look: () => Promise<T> | T, holds: (seen: T) => boolean, ms = 15_000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() > end) assert.fail(`${what}: still ${JSON.stringify(seen)?.slice(-1500)} after ${ms} ms`);
    await pause(10);
  }
}

/** What every driver promises. `skip` is the reason why it cannot run here, or false. */
export function driverContract(name: string, make: () => Promise<DriverUnderTest>, skip: string | false = false) {
  const promise = (title: string, body: (t: DriverUnderTest) => Promise<void>) =>
    test(title, { skip }, async () => {
      const t = await make();
      try {
        await body(t);
      } finally {
        await t.close();
      }
    });
  const never = () => new AbortController().signal;
  const stream = (image: TestImage) => async () => Readable.from([image.bytes]);
  const fetch = (t: DriverUnderTest, image: TestImage) => t.driver.fetchImage(image.ref, stream(image), never());
  const built = async (t: DriverUnderTest, more: Partial<GuestSpec> = {}, image = t.image) => {
    await fetch(t, image);
    const guest = testGuest(image.ref, more);
    await t.driver.createDisks(guest);
    await t.driver.spawn(guest);
    return guest;
  };
  const stopped = (driver: Driver, uuid: string) => {
    const seen: GuestEvent[] = [];
    driver.onEvent((event) => event.uuid === uuid && seen.push(event));
    return seen;
  };

  describe(`driver contract: ${name}`, () => {
    promise('inventory tells a host that could carry a guest', async ({ driver }) => {
      const host = await driver.inventory();
      for (const figure of [host.vcpus, host.memoryMiB, host.diskGiB, host.hypervisorVersion])
        assert.ok(Number.isInteger(figure) && figure > 0);
      assert.ok(Number.isInteger(host.diskFreeGiB) && host.diskFreeGiB <= host.diskGiB);
      assert.ok(host.hypervisorHostname.length > 0);
      assert.equal(host.cpuInfo.arch, 'x86_64');
      assert.ok(host.supportedInstances.some((triple) => triple.join() === 'x86_64,qemu,hvm'));
      assert.deepEqual(await driver.guests(), []);
    });

    promise('an image is fetched once, then cached; the second fetch opens nothing', async (t) => {
      let opened = 0;
      const open = async () => {
        opened++;
        return Readable.from([t.image.bytes.subarray(0, 100), t.image.bytes.subarray(100)]);
      };
      const first = await t.driver.fetchImage(t.image.ref, open, never());
      const second = await t.driver.fetchImage(t.image.ref, open, never());
      assert.deepEqual([first.cached, second.cached, opened], [false, true, 1]);
      assert.ok(first.ms >= 0 && second.ms >= 0);
    });

    promise('two fetches of one image at once share the download', async (t) => {
      let opened = 0;
      const open = async () => {
        opened++;
        return Readable.from([t.image.bytes]);
      };
      await Promise.all([t.driver.fetchImage(t.image.ref, open, never()), t.driver.fetchImage(t.image.ref, open, never())]);
      assert.equal(opened, 1);
    });

    promise('an image that no guest stands on goes from the cache when it is old enough; one in use never', async (t) => {
      const now = { removeUnused: true, minimumAgeMs: 0, limitBytes: 0 };
      const guest = await built(t);
      const other = testImage(Buffer.alloc(512, 'unused'));
      await fetch(t, other);
      assert.deepEqual((await t.driver.tidyCache({ ...now, minimumAgeMs: 3_600_000 })).removed, []);
      assert.deepEqual((await t.driver.tidyCache({ ...now, removeUnused: false })).removed, []);
      const { removed, images, inUse } = await t.driver.tidyCache(now);
      assert.deepEqual([removed.length, images, inUse], [1, 1, 1]);
      await t.driver.powerOff(guest.uuid, 0);
      assert.deepEqual((await t.driver.tidyCache(now)).removed, []);
      assert.deepEqual([(await fetch(t, other)).cached, (await fetch(t, t.image)).cached], [false, true]);
      await t.driver.removeDisks(guest.uuid);
      assert.deepEqual((await t.driver.tidyCache(now)).images, 0);
    });

    promise('a corrupt image is refused and leaves nothing: other bytes, too few, too many', async (t) => {
      const before = await t.files();
      const other = Buffer.from(t.image.bytes);
      other[7] = other[7]! ^ 1;
      for (const bytes of [other, t.image.bytes.subarray(1), Buffer.concat([t.image.bytes, Buffer.from('x')])]) {
        await assert.rejects(
          t.driver.fetchImage(t.image.ref, async () => Readable.from([bytes]), never()),
          isError('guest.image_corrupt'),
        );
      }
      assert.deepEqual(await t.files(), before);
      assert.equal((await fetch(t, t.image)).cached, false);
    });

    promise('an interrupted download leaves nothing, by an abort or by a broken stream', async (t) => {
      const before = await t.files();
      const stop = new AbortController();
      const half = () => {
        const source = new Readable({ read() {} });
        source.push(t.image.bytes.subarray(0, 300));
        return source;
      };
      const aborted = t.driver.fetchImage(
        t.image.ref,
        async () => {
          setImmediate(() => stop.abort(new Error('enough')));
          return half();
        },
        stop.signal,
      );
      await assert.rejects(aborted, /enough|abort/i);
      const broken = t.driver.fetchImage(
        t.image.ref,
        async () => {
          const source = half();
          setImmediate(() => source.destroy(new Error('line cut')));
          return source;
        },
        never(),
      );
      await assert.rejects(broken, /line cut/);
      assert.deepEqual(await t.files(), before);
      assert.equal((await fetch(t, t.image)).cached, false);
    });

    promise('disks need their image, a spawn needs its disks', async (t) => {
      const guest = testGuest(t.image.ref);
      await assert.rejects(t.driver.createDisks(guest), isError('guest.image_unusable'));
      await assert.rejects(t.driver.spawn(guest), isError('guest.hypervisor_failed'));
      assert.deepEqual(await t.driver.guests(), []);
    });

    promise('each deed may be repeated: disks, spawn, power off, destroy, remove', async (t) => {
      await fetch(t, t.image);
      const before = await t.files();
      const guest = testGuest(t.image.ref);
      await t.driver.createDisks(guest);
      const disks = await t.files();
      await t.driver.createDisks(guest);
      assert.deepEqual(await t.files(), disks);
      assert.equal(await t.driver.guest(guest.uuid), undefined, 'disks alone are no guest');
      await t.driver.spawn(guest);
      const first = await t.driver.guest(guest.uuid);
      await t.driver.spawn(guest);
      assert.deepEqual(await t.driver.guest(guest.uuid), first, 'the second spawn changed nothing');
      assert.deepEqual([first?.power, first?.known, first?.epoch], ['running', true, 1]);
      await t.driver.powerOff(guest.uuid, 0);
      await t.driver.powerOff(guest.uuid, 0);
      assert.equal((await t.driver.guest(guest.uuid))?.power, 'shutdown');
      await t.driver.destroy(guest.uuid);
      await t.driver.destroy(guest.uuid);
      assert.equal(await t.driver.guest(guest.uuid), undefined);
      await t.driver.removeDisks(guest.uuid);
      await t.driver.removeDisks(guest.uuid);
      assert.deepEqual(await t.files(), before, 'nothing of the guest is left');
    });

    promise('what is not there: destroy and removal succeed, console and power off say so', async ({ driver }) => {
      const uuid = newUuid();
      await driver.destroy(uuid);
      await driver.removeDisks(uuid);
      assert.equal(await driver.guest(uuid), undefined);
      await assert.rejects(driver.powerOff(uuid, 0), isError('guest.not_found'));
      await assert.rejects(driver.consoleOutput(uuid, 100), isError('guest.not_found'));
      for (const protocol of driver.capabilities.consoles) await assert.rejects(driver.console(uuid, protocol), isError('guest.not_found'));
    });

    promise('a destroyed guest keeps its disks and can be spawned again', async (t) => {
      const guest = await built(t);
      await t.driver.destroy(guest.uuid);
      assert.deepEqual(await t.driver.guests(), []);
      await t.driver.spawn({ ...guest, epoch: 2 });
      const again = await t.driver.guest(guest.uuid);
      assert.deepEqual([again?.power, again?.epoch], ['running', 2]);
    });

    promise('removing the disks of a running guest ends it first', async (t) => {
      await fetch(t, t.image);
      const before = await t.files();
      const guest = await built(t);
      await t.driver.removeDisks(guest.uuid);
      assert.equal(await t.driver.guest(guest.uuid), undefined);
      assert.deepEqual(await t.files(), before);
    });

    promise('off, on, soft and hard reboot; none of our own deeds is told as an event', async (t) => {
      const guest = await built(t);
      const events = stopped(t.driver, guest.uuid);
      await until(
        'console',
        () => consoleText(t.driver, guest.uuid),
        (text) => t.consoleTells(guest).test(text),
      );
      const power = async () => (await t.driver.guest(guest.uuid))?.power;
      await t.driver.powerOff(guest.uuid, 10_000);
      assert.equal(await power(), 'shutdown');
      await t.driver.powerOn(guest);
      await t.driver.powerOn(guest);
      assert.equal(await power(), 'running');
      await t.driver.reboot(guest, 'hard', 0);
      assert.equal(await power(), 'running');
      await t.driver.reboot(guest, 'soft', 200);
      assert.equal(await power(), 'running');
      await t.driver.powerOff(guest.uuid, 0);
      await t.driver.reboot(guest, 'hard', 0);
      assert.equal(await power(), 'running', 'a reboot starts a guest that is off');
      assert.deepEqual(events, []);
    });

    promise('the console tells what the guest said, the newest bytes when asked for few', async (t) => {
      const guest = await built(t);
      const text = await until(
        'console',
        () => consoleText(t.driver, guest.uuid),
        (seen) => t.consoleTells(guest).test(seen),
      );
      await t.driver.powerOff(guest.uuid, 0);
      const all = await consoleText(t.driver, guest.uuid);
      assert.ok(all.startsWith(text), 'it stays readable when the guest is off');
      const tail = await t.driver.consoleOutput(guest.uuid, 20);
      assert.equal(tail.toString(), Buffer.from(all).subarray(-20).toString());
    });

    promise('a guest that runs has a console of each sort the driver offers; one that is off has none', async (t) => {
      const guest = await built(t);
      const { consoles } = t.driver.capabilities;
      assert.ok(consoles.length > 0);
      for (const protocol of consoles) {
        const address = await t.driver.console(guest.uuid, protocol);
        assert.ok(address && (address.socket !== null || (address.host !== null && address.port > 0)), protocol);
      }
      await t.driver.powerOff(guest.uuid, 0);
      for (const protocol of consoles) assert.equal(await t.driver.console(guest.uuid, protocol), undefined, protocol);
    });

    promise('two guests do not disturb each other', async (t) => {
      const [one, two] = [await built(t), await built(t)];
      assert.deepEqual((await t.driver.guests()).map((guest) => guest.uuid).sort(), [one.uuid, two.uuid].sort());
      await t.driver.destroy(one.uuid);
      await t.driver.removeDisks(one.uuid);
      assert.deepEqual(
        (await t.driver.guests()).map((guest) => [guest.uuid, guest.power]),
        [[two.uuid, 'running']],
      );
    });

    promise('a guest that shuts itself down is told of, and can be powered on', async (t) => {
      const { image, metadata } = t.shortLived;
      await fetch(t, image);
      const guest = testGuest(image.ref, { metadata });
      const events = stopped(t.driver, guest.uuid);
      await t.driver.createDisks(guest);
      await t.driver.spawn(guest);
      await until(
        'event',
        () => events,
        (seen) => seen.length === 1,
      );
      const [event] = events;
      assert.deepEqual([event?.kind, event?.kind === 'stopped' && event.reason], ['stopped', 'guest-shutdown']);
      assert.equal((await t.driver.guest(guest.uuid))?.power, 'shutdown');
      await t.driver.powerOn({ ...guest, metadata: {} });
      await t.driver.destroy(guest.uuid);
    });

    promise('a crash is told within a second, and the guest can be started anew', async (t) => {
      await fetch(t, t.image);
      const guest = testGuest(t.image.ref, { metadata: t.crashing });
      const events = stopped(t.driver, guest.uuid);
      await t.driver.createDisks(guest);
      await t.driver.spawn(guest);
      await t.crash(guest.uuid);
      await until(
        'event',
        () => events,
        (seen) => seen.length === 1,
        1000,
      );
      const [event] = events;
      assert.deepEqual([event?.kind, event?.kind === 'stopped' && event.reason], ['stopped', 'crashed']);
      assert.equal((await t.driver.guest(guest.uuid))?.power, 'crashed');
      await t.driver.powerOn({ ...guest, metadata: {} });
      assert.equal((await t.driver.guest(guest.uuid))?.power, 'running');
    });

    promise('a listener that left hears nothing', async (t) => {
      await fetch(t, t.image);
      const guest = testGuest(t.image.ref, { metadata: t.crashing });
      let heard = 0;
      const leave = t.driver.onEvent(() => heard++);
      const events = stopped(t.driver, guest.uuid);
      leave();
      await t.driver.createDisks(guest);
      await t.driver.spawn(guest);
      await t.crash(guest.uuid);
      await until(
        'event',
        () => events,
        (seen) => seen.length === 1,
      );
      assert.equal(heard, 0);
    });

    promise('guests outlive the driver: the next one adopts them, those that are off too', async (t) => {
      const [running, off, gone] = [await built(t), await built(t), await built(t)];
      await t.driver.powerOff(off.uuid, 0);
      await t.driver.destroy(gone.uuid);
      const before = [...(await t.driver.guests())].sort(byUuid);
      const next = await t.restart();
      assert.deepEqual([...(await next.guests())].sort(byUuid), before, 'same guests, same processes');
      assert.equal((await fetch(t, t.image)).cached, true);
      await next.spawn(running);
      assert.deepEqual(
        await next.guest(running.uuid),
        before.find((guest) => guest.uuid === running.uuid),
      );
      await next.powerOn(off);
      await next.spawn(gone);
      assert.deepEqual(
        (await next.guests()).map((guest) => guest.power),
        ['running', 'running', 'running'],
      );
      for (const guest of [running, off, gone]) {
        await next.destroy(guest.uuid);
        await next.removeDisks(guest.uuid);
      }
      assert.deepEqual(await next.guests(), []);
    });

    const powerOf = async (t: DriverUnderTest, guest: GuestSpec) => (await t.driver.guest(guest.uuid))?.power;

    promise('pause and unpause, each twice, and over a restart; what is off is not paused; none of it is an event', async (t) => {
      const guest = await built(t);
      const events = stopped(t.driver, guest.uuid);
      await t.driver.pause(guest.uuid);
      await t.driver.pause(guest.uuid);
      assert.equal(await powerOf(t, guest), 'paused');
      const before = await t.driver.guest(guest.uuid);
      await t.restart();
      assert.deepEqual(await t.driver.guest(guest.uuid), before);
      await t.driver.unpause(guest.uuid);
      await t.driver.unpause(guest.uuid);
      assert.equal(await powerOf(t, guest), 'running');
      await t.driver.crashDump(guest.uuid);
      await t.driver.powerOff(guest.uuid, 0);
      await assert.rejects(t.driver.pause(guest.uuid), isError('guest.hypervisor_failed'));
      assert.equal(await powerOf(t, guest), 'shutdown');
      assert.deepEqual(events, []);
      await assert.rejects(t.driver.pause(newUuid()), isError('guest.not_found'));
    });

    promise('suspend, over a restart, and resume; twice each; off and destroy take the memory with them', async (t) => {
      const guest = await built(t);
      const events = stopped(t.driver, guest.uuid);
      const before = await t.files();
      for (const wake of [() => t.driver.resume(guest), () => t.driver.powerOn(guest)]) {
        await t.driver.suspend(guest.uuid);
        await t.driver.suspend(guest.uuid);
        const seen = await t.driver.guest(guest.uuid);
        assert.deepEqual([seen?.power, seen?.pid], ['suspended', null]);
        await t.restart();
        assert.deepEqual(await t.driver.guest(guest.uuid), seen);
        await wake();
        await wake();
        assert.equal(await powerOf(t, guest), 'running');
        assert.deepEqual(await t.files(), before);
      }
      await t.driver.pause(guest.uuid);
      await t.driver.suspend(guest.uuid);
      await t.driver.reboot(guest, 'hard', 0);
      assert.equal(await powerOf(t, guest), 'running');
      await t.driver.suspend(guest.uuid);
      await t.driver.powerOff(guest.uuid, 0);
      assert.equal(await powerOf(t, guest), 'shutdown');
      await t.driver.powerOn(guest);
      await t.driver.suspend(guest.uuid);
      await t.driver.destroy(guest.uuid);
      await t.driver.spawn(guest);
      assert.equal(await powerOf(t, guest), 'running');
      assert.deepEqual(events, []);
    });

    promise('diagnostics tell what is known, running and off', async (t) => {
      const guest = await built(t, { nics: [testNic('172.24.0.9')] });
      const numbers = await t.driver.diagnostics(guest.uuid);
      assert.deepEqual([numbers.state, numbers.cpus.length, numbers.nics[0]?.mac], ['running', 1, guest.nics[0]?.mac]);
      assert.deepEqual([numbers.memoryMaxMiB, numbers.configDrive, numbers.disks.length], [64, false, 1]);
      await t.driver.powerOff(guest.uuid, 0);
      assert.equal((await t.driver.diagnostics(guest.uuid)).state, 'shutdown');
      await assert.rejects(t.driver.diagnostics(newUuid()), isError('guest.not_found'));
    });

    promise('a snapshot while it runs and while it is off: what was told is what comes, and discard leaves nothing', async (t) => {
      const guest = await built(t);
      const before = await t.files();
      for (const off of [false, true]) {
        if (off) await t.driver.powerOff(guest.uuid, 0);
        const files = await t.files();
        const copy = await t.driver.snapshot(guest.uuid, never());
        let bytes = 0;
        for await (const chunk of await copy.open()) bytes += chunk.length;
        assert.equal(bytes, copy.sizeBytes);
        await copy.discard();
        await copy.discard();
        assert.deepEqual(await t.files(), files);
        assert.equal(await powerOf(t, guest), off ? 'shutdown' : 'running');
      }
      await assert.rejects(t.driver.snapshot(newUuid(), never()), isError('guest.not_found'));
      await t.driver.powerOn(guest);
      assert.deepEqual(await t.files(), before);
    });

    promise('disks grow while the guest is off, twice the same, and it starts with them', async (t) => {
      const guest = await built(t);
      await t.driver.powerOff(guest.uuid, 0);
      const grown = { ...guest, rootGiB: 2, ephemeralGiB: 1, swapMiB: 8 };
      await t.driver.resizeDisks(grown);
      await t.driver.resizeDisks(grown);
      await t.driver.resizeDisks(guest);
      await t.driver.powerOn(grown);
      assert.equal(await powerOf(t, guest), 'running');
    });

    promise('volumes come and go while it runs and while it is off, twice each, and it starts with those it has', async (t) => {
      const guest = await built(t);
      const [one, two] = [await t.volume(), await t.volume()];
      const withOne = { ...guest, volumes: [one.volume] };
      const both = { ...guest, volumes: [one.volume, two.volume] };
      await t.driver.attachVolume(withOne, one.volume);
      await t.driver.attachVolume(withOne, one.volume);
      await t.restart();
      await t.driver.attachVolume(both, two.volume);
      await t.driver.detachVolume(withOne, two.volume.volumeId);
      await t.driver.detachVolume(withOne, two.volume.volumeId);
      await t.driver.extendVolume(withOne, one.volume.volumeId, 2);
      await t.driver.powerOff(guest.uuid, 0);
      await t.driver.attachVolume(both, two.volume);
      await t.driver.detachVolume({ ...guest, volumes: [two.volume] }, one.volume.volumeId);
      await t.driver.powerOn({ ...guest, volumes: [two.volume] });
      assert.equal(await powerOf(t, guest), 'running');
      await assert.rejects(t.driver.attachVolume({ ...both, uuid: newUuid() }, one.volume), isError('guest.not_found'));
      await t.driver.removeDisks(guest.uuid);
      assert.ok((await two.sizeBytes()) > 0, 'a volume outlives its guest');
    });

    promise('a guest without an image boots from its volume', async (t) => {
      const { volume } = await t.volume();
      const guest = testGuest(null, { volumes: [{ ...volume, bootIndex: 0 }] });
      await t.driver.createDisks(guest);
      await t.driver.spawn(guest);
      await until(
        'console',
        () => consoleText(t.driver, guest.uuid),
        (text) => t.consoleTells(guest).test(text),
      );
      await t.driver.destroy(guest.uuid);
    });

    promise('network cards come and go while it runs and while it is off, twice each', async (t) => {
      const [first, second] = [testNic('172.24.0.9'), testNic('172.24.0.10')];
      const guest = await built(t, { nics: [first] });
      const both = { ...guest, nics: [first, second] };
      await t.driver.attachNic(both, second);
      await t.driver.attachNic(both, second);
      await t.restart();
      await t.driver.detachNic(guest, second.portId);
      await t.driver.detachNic(guest, second.portId);
      await t.driver.attachNic(both, second);
      await t.driver.suspend(guest.uuid);
      await t.driver.resume(both);
      await t.driver.powerOff(guest.uuid, 0);
      const only = { ...guest, nics: [second] };
      await t.driver.detachNic(only, first.portId);
      await t.driver.powerOn(only);
      assert.equal(await powerOf(t, guest), 'running');
    });

    promise('rescue and back, twice each; a restart and a power cycle leave it in rescue', async (t) => {
      const guest = await built(t);
      const before = await t.files();
      const rescue: RescueSpec = { image: t.image.ref, kernel: null, ramdisk: null, properties: {}, configDrive: null };
      await t.driver.rescue(guest, rescue);
      await t.driver.rescue(guest, rescue);
      assert.equal(await powerOf(t, guest), 'running');
      const seen = await t.driver.guest(guest.uuid);
      await t.restart();
      assert.deepEqual(await t.driver.guest(guest.uuid), seen);
      await t.driver.powerOff(guest.uuid, 0);
      await t.driver.powerOn(guest);
      await t.driver.unrescue(guest);
      await t.driver.unrescue(guest);
      assert.equal(await powerOf(t, guest), 'running');
      assert.deepEqual(await t.files(), before);
    });

    promise('disks of a guest that is off move to another host, offer and fetch twice; over a restart the offer holds', async (t) => {
      const guest = await built(t, {
        swapMiB: 8,
        configDrive: { 'openstack/latest/meta_data.json': Buffer.from('{}').toString('base64') },
      });
      const other = await t.other();
      const there = { ...guest, epoch: 2 };
      await t.driver.powerOff(guest.uuid, 0);
      await t.driver.offerDisks(guest.uuid);
      const offer = await t.driver.offerDisks(guest.uuid);
      assert.deepEqual(JSON.parse(JSON.stringify(offer)), offer, 'it crosses the bus');
      await t.restart();
      let last: MoveProgress | undefined;
      for (let times = 0; times < 2; times++) {
        await other.fetchDisks(there, offer, never(), (moved) => {
          last = moved;
        });
        assert.equal(last?.diskRemaining, 0);
      }
      await t.driver.withdrawDisks(guest.uuid);
      await t.driver.withdrawDisks(guest.uuid);
      await t.driver.destroy(guest.uuid);
      await t.driver.removeDisks(guest.uuid);
      await other.spawn(there);
      const seen = await other.guest(guest.uuid);
      assert.deepEqual([seen?.power, seen?.epoch], ['running', 2]);
      await assert.rejects(t.driver.offerDisks(newUuid()), isError('guest.not_found'));
    });

    promise('a running guest moves to another host and is no longer here; none of it is an event', async (t) => {
      const guest = await built(t, { nics: [testNic('172.24.0.9')], swapMiB: 8 });
      const { volume } = await t.volume();
      const whole = { ...guest, volumes: [volume] };
      await t.driver.attachVolume(whole, volume);
      const events = stopped(t.driver, guest.uuid);
      const other = await t.other();
      await other.fetchImage(t.image.ref, stream(t.image), never());
      const there = { ...whole, epoch: 2 };
      await other.prepareIncoming(there);
      const offer = await other.prepareIncoming(there);
      let last: MoveProgress | undefined;
      await t.driver.migrateLive(guest.uuid, offer, never(), (moved) => {
        last = moved;
      });
      assert.equal(last?.memoryRemaining, 0);
      assert.equal(await t.driver.guest(guest.uuid), undefined);
      await other.powerOn(there);
      assert.deepEqual([(await other.guest(guest.uuid))?.power, (await other.guest(guest.uuid))?.epoch], ['running', 2]);
      await t.driver.removeDisks(guest.uuid);
      await other.pause(guest.uuid);
      await other.unpause(guest.uuid);
      assert.deepEqual(events, []);
    });

    promise('a host that was told to expect a guest forgets it by destroy and removal', async (t) => {
      const other = await t.other();
      const guest = await built(t);
      await other.prepareIncoming(guest);
      await other.destroy(guest.uuid);
      await other.removeDisks(guest.uuid);
      assert.deepEqual(await other.guests(), []);
      assert.equal(await powerOf(t, guest), 'running');
    });

    promise('spawn and destroy at the same time end in one of the two states', async (t) => {
      await fetch(t, t.image);
      const guest = testGuest(t.image.ref);
      await t.driver.createDisks(guest);
      await Promise.allSettled([t.driver.spawn(guest), t.driver.destroy(guest.uuid), t.driver.spawn(guest)]);
      const seen = await t.driver.guest(guest.uuid);
      assert.ok(seen === undefined || seen.power === 'running', JSON.stringify(seen));
      await t.driver.destroy(guest.uuid);
      assert.equal(await t.driver.guest(guest.uuid), undefined);
    });
  });
}

const byUuid = (a: { uuid: string }, b: { uuid: string }) => (a.uuid < b.uuid ? -1 : 1);
const consoleText = async (driver: Driver, uuid: string) => (await driver.consoleOutput(uuid, 100_000)).toString();
