import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { testGuest, testImage } from '../../../test/contracts/driver.ts';
import { systemClock } from '../../lib/clock.ts';
import { uptimeLine } from '../../lib/uptime-line.ts';
import { readConsole, rotateConsole } from './console-log.ts';
import { askGuestAgent } from './guest-agent.ts';
import { type GuestRecord, NEW_RECORD, readRecords, writeRecord } from './guest-journal.ts';
import { guestPaths, privateFolder } from './guest-paths.ts';
import { createImageCache } from './image-cache.ts';
import { readImageHeader } from './image-header.ts';
import { cachedKvmVerdict, probeKvm } from './kvm-probe.ts';
import { receiveFile, sendFile } from './move-line.ts';
import { identify, isAlive, killProcess } from './process-identity.ts';
import { missingQemuPrograms, mustHavePrograms } from './programs.ts';
import { connectQmp } from './qmp.ts';
import { backingsIn } from './tidy-cache.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kn-parts-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const never = new AbortController().signal;

function qcow2Header(change: (head: Buffer) => void = () => {}): Buffer {
  const head = Buffer.alloc(512);
  head.writeUInt32BE(0x514649fb, 0);
  head.writeUInt32BE(3, 4);
  change(head);
  return head;
}

describe('image header', () => {
  test('a plain image passes; a name of another file, encryption, a corrupt mark and strange versions do not', () => {
    const trouble = (change?: (head: Buffer) => void) => {
      const header = readImageHeader(qcow2Header(change));
      return header.format === 'qcow2' ? header.trouble : 'other';
    };
    assert.equal(trouble(), null);
    assert.match(trouble((head) => head.writeBigUInt64BE(512n, 8)) ?? '', /backing file/);
    assert.match(trouble((head) => head.writeUInt32BE(2, 32)) ?? '', /encrypted/);
    assert.match(trouble((head) => head.writeBigUInt64BE(4n, 72)) ?? '', /external data file/);
    assert.match(trouble((head) => head.writeBigUInt64BE(2n, 72)) ?? '', /corrupt/);
    assert.match(trouble((head) => head.writeUInt32BE(4, 4)) ?? '', /version 4/);
    assert.equal(
      trouble((head) => head.writeUInt32BE(0, 0)),
      'other',
    );
    assert.deepEqual(readImageHeader(Buffer.from('QFI')), { format: 'other' });
  });
});

describe('image cache', () => {
  const fetch = async (bytes: Buffer, more: object = {}) => {
    const cache = createImageCache(() => folder, systemClock);
    await cache.open();
    const image = testImage(bytes, more);
    await cache.fetch(image.ref, async () => Readable.from([bytes]), never);
    return { cache, image };
  };

  test('a cached image is one read-only file', async () => {
    const { cache, image } = await fetch(Buffer.alloc(1000, 7));
    const file = await cache.path(image.ref);
    assert.equal((await stat(file)).mode & 0o777, 0o444);
    assert.deepEqual(await readdir(folder), [file.slice(folder.length + 1)]);
  });

  test('an image that names other files, or is not what it is called, is refused and leaves nothing', async () => {
    const backed = qcow2Header((head) => head.writeBigUInt64BE(512n, 8));
    await assert.rejects(fetch(backed, { diskFormat: 'qcow2' }), /cannot be used: it has a backing file/);
    await assert.rejects(fetch(qcow2Header(), { diskFormat: 'raw' }), /called raw and begins as a qcow2/);
    await assert.rejects(fetch(Buffer.alloc(512), { diskFormat: 'qcow2' }), /called qcow2 and is not/);
    await assert.rejects(fetch(Buffer.alloc(512), { hashAlgo: 'rot13' }), /unknown hash algorithm rot13/);
    await assert.rejects(fetch(Buffer.alloc(512), { id: '../../etc/passwd' }), { code: 'guest.image_unusable' });
    assert.deepEqual(await readdir(folder), []);
  });

  test('an image larger than the free space is refused before a byte is fetched', async () => {
    const cache = createImageCache(() => folder, systemClock);
    await cache.open();
    const { ref } = testImage(Buffer.alloc(1), { sizeBytes: 2 ** 52 });
    await assert.rejects(
      cache.fetch(ref, () => assert.fail('opened'), never),
      { code: 'guest.no_disk_space' },
    );
    assert.deepEqual(await readdir(folder), []);
  });

  test('unused images go by age, and the longest unused first while they are too many; those in use, and other files, never', async () => {
    const { cache, image: used } = await fetch(Buffer.alloc(1000, 1));
    const more = [2, 3, 4, 5].map((byte) => testImage(Buffer.alloc(1000, byte)));
    for (const one of more) await cache.fetch(one.ref, async () => Readable.from([one.bytes]), never);
    const [oldest, older, young, fresh] = more.map((one) => cache.nameOf(one.ref));
    const now = Date.now() / 1000;
    for (const [name, age] of [
      [cache.nameOf(used.ref), 9000],
      [oldest, 8000],
      [older, 5000],
      [young, 500],
    ] as const)
      await utimes(join(folder, name ?? ''), now - age, now - age);
    await writeFile(join(folder, 'not-an-image'), 'x');
    const rules = { removeUnused: true, minimumAgeMs: 7_000_000, limitBytes: 0 };
    const inUse = async () => new Set([cache.nameOf(used.ref)]);
    const first = await cache.tidy(rules, inUse);
    assert.deepEqual([first.removed, first.images, first.inUse, first.bytes, first.freedBytes], [[oldest], 4, 1, 4000, 1000]);
    const second = await cache.tidy({ ...rules, removeUnused: false, limitBytes: 1500 }, inUse);
    assert.deepEqual(second.removed, [older, young], 'the fresh one is about to be used');
    assert.deepEqual((await readdir(folder)).sort(), [fresh, cache.nameOf(used.ref), 'not-an-image'].sort());
    assert.ok((await stat(join(folder, cache.nameOf(used.ref)))).mtimeMs > (now - 60) * 1000, 'its use is noted');
    await assert.rejects(cache.path(more[0]!.ref), { code: 'guest.image_unusable' });
  });

  test('an image that somebody asks for while the cache is looked through stays', async () => {
    const { cache, image } = await fetch(Buffer.alloc(1000, 1));
    const file = join(folder, cache.nameOf(image.ref));
    await utimes(file, 1, 1);
    const { removed } = await cache.tidy({ removeUnused: true, minimumAgeMs: 60_000, limitBytes: 1 }, async () => {
      await cache.path(image.ref); // its disk is not there yet, so nobody is seen to use it
      return new Set();
    });
    assert.deepEqual(removed, []);
    await assert.rejects(
      cache.tidy({ removeUnused: true, minimumAgeMs: 0, limitBytes: 0 }, () => backingsIn(join(folder, 'nowhere'))),
      /ENOENT/,
    );
    assert.equal(await cache.path(image.ref), file, 'who cannot see the disks removes nothing');
  });

  test('what a guest writes at the beginning of a raw disk is no header: it neither holds images nor hinders that others go', async () => {
    const raw = { backend: 'raw', file: 'disk', format: 'raw', making: false };
    const [mine, other] = [join(folder, 'one'), join(folder, 'other')];
    for (const at of [mine, other]) await mkdir(at);
    const pretends = (offset: bigint) =>
      qcow2Header((head) => {
        head.writeBigUInt64BE(offset, 8);
        head.writeUInt32BE(8, 16);
      });
    await writeFile(join(mine, 'disks.json'), JSON.stringify({ disk: raw }));
    for (const name of ['disk', 'disk.eph0', 'disk.swap']) await writeFile(join(mine, name), pretends(2n ** 63n));
    await writeFile(join(other, 'disk.eph0'), Buffer.concat([pretends(512n), Buffer.from('an-image')]));
    await writeFile(join(other, 'disk'), Buffer.concat([pretends(512n), Buffer.from('/i/below')]));
    assert.deepEqual([...(await backingsIn(folder))], ['below']);
  });

  test('what a kill left of a download is removed at the next start', async () => {
    await writeFile(join(folder, 'x.0123.raw.abc.part'), 'half');
    await createImageCache(() => folder, systemClock).open();
    assert.deepEqual(await readdir(folder), []);
  });
});

describe('QMP', () => {
  const serve = async (hear: (line: string, say: (text: string) => void, end: () => void) => void, greet = true) => {
    const path = join(folder, 'qmp');
    const server = createServer((socket) => {
      if (greet) socket.write('{"QMP": {}}\r\n');
      socket.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.trim().split('\n'))
          hear(
            line,
            (said) => socket.write(said),
            () => socket.destroy(),
          );
      });
      socket.on('error', () => {});
    });
    server.listen(path);
    await once(server, 'listening');
    return { path, close: () => server.close() };
  };
  const idOf = (line: string) => (JSON.parse(line) as { id: number }).id;

  test('answers and events cut into pieces; a refusal says why', async () => {
    const server = await serve((line, say) => {
      if (line.includes('refuse')) return say(`{"id": ${idOf(line)}, "error": {"class": "GenericError", "desc": "not now"}}\n`);
      say('{"event": "RESET", "da');
      setImmediate(() => say(`ta": {"guest": true}}\n{"id": ${idOf(line)}, "return": {"n": 1}}\n`));
    });
    const qmp = await connectQmp(server.path);
    const events: string[] = [];
    qmp.onEvent((event) => events.push(`${event.event} ${event.data.guest}`));
    assert.deepEqual(await qmp.command('query'), { n: 1 });
    assert.deepEqual(events, ['RESET true']);
    await assert.rejects(qmp.command('refuse'), /QEMU refused: not now/);
    qmp.close();
    await qmp.closed;
    await assert.rejects(qmp.command('query'), /closed/);
    server.close();
  });

  test('a QEMU that hangs is given up in time: without a greeting, without an answer; a lost line ends all calls', async () => {
    const mute = await serve(() => {}, false);
    await assert.rejects(connectQmp(mute.path, 500), /did not answer the greeting within 500 ms/);
    mute.close();
    await rm(mute.path, { force: true });
    const server = await serve((line, say, end) => {
      if (line.includes('qmp_capabilities')) say(`{"id": ${idOf(line)}, "return": {}}\n`);
      if (line.includes('die')) end();
    });
    const qmp = await connectQmp(server.path);
    await assert.rejects(qmp.command('silence', {}, 500), /did not answer silence within 500 ms/);
    await assert.rejects(qmp.command('die'), /closed/);
    server.close();
  });
});

describe('a disk on its way to another host', () => {
  test('arrives as it was, and waits for a slow taker leave nothing behind', async () => {
    const [from, to, path] = [join(folder, 'from'), join(folder, 'to'), join(folder, 'line')];
    const bytes = Buffer.concat([Buffer.alloc(8 * 1024 * 1024, 'x'), Buffer.alloc(1024 * 1024), Buffer.alloc(100, 'y')]);
    await writeFile(from, bytes);
    let waiting = 0;
    const server = createServer(async (socket) => {
      await sendFile(from, socket);
      waiting = socket.listenerCount('close');
      socket.end();
    }).listen(path);
    await once(server, 'listening');
    await receiveFile(Readable.from(slowly(connect(path))), to, bytes.length, () => {}, never);
    server.close();
    assert.ok((await readFile(to)).equals(bytes));
    assert.ok(waiting < 10, `${waiting} wait for its end`);
  });
});
async function* slowly(socket: Socket) {
  for await (const chunk of socket) {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    yield chunk;
  }
}

describe('guest agent', () => {
  const served = async (say: (socket: Socket) => void) => {
    const path = join(folder, 'agent');
    const server = createServer((socket) => say(socket.on('error', () => undefined))).listen(path);
    await once(server, 'listening');
    const answer = askGuestAgent(path, 'guest-ping', {}, 60_000);
    return answer.finally(() => server.close());
  };

  test('one that says something without end is not listened to any longer', async () => {
    const endless = (socket: Socket) => void Readable.from(chatter()).pipe(socket);
    await assert.rejects(served(endless), /says something without end/);
  });
});
function* chatter() {
  for (let said = 0; said < 256 * 1024 * 1024; said += 65_536) yield Buffer.alloc(65_536, 'x');
}

describe('console log', () => {
  test('the newest bytes, over a rotation too; the file is bounded', async () => {
    const log = join(folder, 'console.log');
    assert.equal((await readConsole(log, 10)).length, 0);
    await writeFile(log, 'a'.repeat(50) + 'b'.repeat(50));
    assert.equal(await rotateConsole(log, 100), false);
    assert.equal(await rotateConsole(log, 60), true);
    assert.equal((await stat(log)).size, 0);
    await writeFile(log, 'new', { flag: 'a' });
    assert.equal((await readConsole(log, 5)).toString(), 'bbnew');
    assert.equal((await readConsole(log, 1000)).toString(), `${'a'.repeat(10)}${'b'.repeat(50)}new`);
    assert.equal((await readConsole(log, 2)).toString(), 'ew');
  });
});

describe('guest journal', () => {
  const recordOf = (stateDir: string): GuestRecord => {
    const spec = testGuest(null);
    const { qmpSocket, vncSocket, serialSocket } = guestPaths(stateDir, spec.uuid);
    return {
      version: 1,
      spec,
      power: 'running',
      process: identify(process.pid) ?? null,
      qmpSocket,
      vncSocket,
      serialSocket,
      disks: [],
      forwards: [],
      ...NEW_RECORD,
    };
  };

  test('records come back as they were, private; what cannot be read, or is another guest, is told and left alone', async () => {
    const record = recordOf(folder);
    const paths = guestPaths(folder, record.spec.uuid);
    await mkdir(paths.folder, { recursive: true, mode: 0o700 });
    await writeRecord(paths, record);
    assert.equal((await stat(paths.record)).mode & 0o777, 0o600);
    const broken = join(folder, 'instances', 'broken');
    await mkdir(broken);
    await writeFile(join(broken, 'guest.json'), (await readFile(paths.record, 'utf8')).slice(0, 40));
    const moved = join(folder, 'instances', '00000000-0000-0000-0000-000000000000');
    await mkdir(moved);
    await writeFile(join(moved, 'guest.json'), await readFile(paths.record));
    await mkdir(join(folder, 'instances', 'disks-only'));
    const read = await readRecords(folder);
    assert.deepEqual(read.records, [record]);
    assert.deepEqual(read.unreadable.sort(), [join(broken, 'guest.json'), join(moved, 'guest.json')].sort());
  });

  test('a process is known by its start time, not by its number alone', async () => {
    const child = spawn('sleep', ['60']);
    const identity = identify(child.pid ?? 0);
    assert.ok(identity && isAlive(identity));
    killProcess({ ...identity, startTime: identity.startTime + 1 });
    assert.ok(isAlive(identity), 'another start time is another process');
    killProcess(identity);
    await once(child, 'exit');
    assert.equal(isAlive(identity), false);
  });

  test('a folder for sockets is made ours; one that is a file is refused', async () => {
    await mkdir(join(folder, 'open'));
    await chmod(join(folder, 'open'), 0o777);
    await privateFolder(join(folder, 'open'));
    assert.equal((await stat(join(folder, 'open'))).mode & 0o777, 0o700);
    await writeFile(join(folder, 'file'), '');
    await assert.rejects(privateFolder(join(folder, 'file')));
  });
});

describe('the host', () => {
  test('missing programs are all named, with one command that installs them', () => {
    assert.equal(missingQemuPrograms(folder)?.programs.length, missingQemuPrograms(folder)?.install.split(' ').slice(3).length);
    if (missingQemuPrograms(folder)) {
      assert.throws(() => mustHavePrograms(folder), {
        code: 'guest.hypervisor_missing',
        message: /Install it with: apt-get install --no-install-recommends qemu-system-x86 qemu-utils socat/,
      });
    }
  });

  test('without the device there is no KVM; the verdict is kept for this boot and this QEMU', async () => {
    assert.deepEqual(await probeKvm({ device: join(folder, 'kvm') }), {
      usable: false,
      why: `${join(folder, 'kvm')} is absent, or not open to this user`,
    });
    let probes = 0;
    const probe = async () => {
      probes++;
      return { usable: true, why: 'tried' };
    };
    const file = join(folder, 'verdict.json');
    for (const version of ['7.2.0', '7.2.0', '8.0.0']) assert.equal((await cachedKvmVerdict(file, version, probe)).usable, true);
    assert.equal(probes, 2);
    await writeFile(file, '{');
    await cachedKvmVerdict(file, '8.0.0', probe);
    assert.equal(probes, 3);
    const late = async () => ({ usable: false, why: 'too late', late: true as const });
    assert.equal((await cachedKvmVerdict(file, '9.0.0', late)).usable, false);
    assert.equal((await cachedKvmVerdict(file, '9.0.0', probe)).usable, true, 'a verdict for want of time is not kept');
  });

  test('the uptime line has the form clients cut up', () => {
    const line = uptimeLine(new Date(2026, 0, 2, 3, 4, 5), 2 * 86400 + 3 * 3600 + 7 * 60, [0.5, 1, 12.345]);
    assert.equal(line, ' 03:04:05 up 2 days, 3:07,  0 users,  load average: 0.50, 1.00, 12.35');
    assert.match(uptimeLine(new Date(), 60, [0, 0, 0]), /up 0:01, {2}0 users/);
  });
});
