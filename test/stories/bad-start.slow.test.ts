import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runKilonova, startHouse } from '../house/running.ts';

/** Starts that cannot be: each is refused with one sentence that says what to do, status 1, and leaves nothing running. */
describe('a start that cannot be', { concurrency: 3 }, () => {
  let root: string;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'kilonova-bad-'));
    chmodSync(root, 0o755);
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const refused = async (sentence: RegExp, args: readonly string[], more: Parameters<typeof runKilonova>[1] = {}) => {
    const { status, output } = await runKilonova(['up', '--no-install', ...args], more);
    assert.match(output, sentence);
    assert.equal(status, 1, output);
    assert.doesNotMatch(output, /\n\s+at .*:\d+/, 'no stack');
    assert.doesNotMatch(output, /ready:/);
    return output;
  };
  const fake = (dir: string) => ['--data-dir', dir, '--hypervisor', 'fake', '--port', '0'];
  const config = (name: string, text: string) => {
    writeFileSync(join(root, name), text);
    return join(root, name);
  };

  test('qemu is asked for and missing: the exact command that installs it', async () => {
    const dir = join(root, 'no-qemu');
    const path = { env: { PATH: '/nowhere' } };
    const output = await refused(
      /qemu-system-x86_64, qemu-img, socat missing, and --hypervisor qemu needs them\. Install: apt-get install -y --no-install-recommends qemu-system-x86 qemu-utils socat\n/,
      ['--data-dir', dir, '--hypervisor', 'qemu', '--port', '0'],
      path,
    );
    assert.match(output, /missing: qemu-system-x86_64 \(runs guests\)/);
    assert.equal(existsSync(join(dir, 'endpoint')), false);
  });

  test('qemu is missing and auto was asked: fake hosts, and it says so', async () => {
    const house = await startHouse({ args: ['--hypervisor', 'auto'], env: { PATH: '/nowhere' } });
    try {
      assert.match(
        house.output(),
        /ready: http:\S+ \(fake hosts, because qemu-system-x86_64, qemu-img, socat cannot be found; for real guests: apt-get install/,
      );
      assert.equal(await house.stop(), 0, house.output());
    } finally {
      await house.remove();
    }
  });

  test('the port is taken: which, by whom it was asked, and --port', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = address && typeof address === 'object' ? address.port : 0;
    const file = config('port.conf', `[DEFAULT]\nosapi_compute_listen_port = ${port}\n`);
    const dir = join(root, 'port');
    const sentence = new RegExp(`kilonova: port ${port} on 127\\.0\\.0\\.1 is taken by another program\\. Choose another with --port N`);
    try {
      await refused(sentence, ['--data-dir', dir, '--hypervisor', 'fake', '--config', file]);
      await refused(sentence, ['--data-dir', dir, '--hypervisor', 'fake', '--port', String(port)]);
      assert.equal(existsSync(join(dir, 'endpoint')), false);
    } finally {
      server.close();
    }
    const { status, output } = await runKilonova(['up', '--port', '65536']);
    assert.equal(status, 1);
    assert.match(output, /a port is a number from 0 to 65535/);
  });

  test('the data dir is a file, cannot be made, or cannot be written', async () => {
    const file = join(root, 'a-file');
    writeFileSync(file, 'kept');
    await refused(/The data dir \S+a-file cannot be used: it is not a directory\. Name another with --data-dir\./, fake(file));
    assert.equal(readFileSync(file, 'utf8'), 'kept');
    await refused(/The data dir \S+below cannot be used: it cannot be written\. Name another with --data-dir\./, fake(join(file, 'below')));
    const locked = join(root, 'locked');
    mkdirSync(locked, { mode: 0o555 });
    const nobody = process.getuid?.() === 0 ? { uid: 65_534 } : {};
    await refused(/The data dir \S+locked cannot be used: it cannot be written\. Name another with --data-dir\./, fake(locked), nobody);
    assert.deepEqual(readdirSync(locked), []);
  });

  test('the data dir is in use: by which process; and the cloud in it runs on', async () => {
    const house = await startHouse();
    try {
      await refused(
        new RegExp(`${house.dataDir} is in use by another kilonova process \\(pid ${house.child.pid}\\)\\. Stop it first`),
        fake(house.dataDir),
      );
      assert.equal((await fetch(`${house.base}/healthz`)).status, 200);
      assert.equal(readFileSync(join(house.dataDir, 'endpoint'), 'utf8').trim(), house.base);
    } finally {
      await house.stop();
      await house.remove();
    }
  });

  test('secrets, the database or the token key are damaged or gone: the file is named and kept as it is', async () => {
    const house = await startHouse();
    await house.stop();
    const file = (name: string) => join(house.dataDir, name);
    const keep = Object.fromEntries(['secrets.json', 'cloud.db', 'token-keys.pem'].map((name) => [name, readFileSync(file(name))]));
    const back = (name: string) => writeFileSync(file(name), keep[name] ?? '');
    try {
      for (const text of ['{"adminPassword": "x', '[]', '{"adminPassword": 7}', 'null', '']) {
        writeFileSync(file('secrets.json'), text);
        await refused(
          /\/secrets\.json is damaged; restore it from a copy, or remove the data dir to begin a new cloud\./,
          fake(house.dataDir),
        );
        assert.equal(readFileSync(file('secrets.json'), 'utf8'), text);
      }
      back('secrets.json');
      for (const noise of [
        Buffer.alloc(8192, 'noise'),
        Buffer.concat([(keep['cloud.db'] ?? Buffer.alloc(0)).subarray(0, 100), Buffer.alloc(80_000, 7)]),
      ]) {
        writeFileSync(file('cloud.db'), noise);
        await refused(/\/cloud\.db/, fake(house.dataDir));
        assert.deepEqual(readFileSync(file('cloud.db')), noise);
      }
      rmSync(file('cloud.db'));
      await refused(/The database \S+\/cloud\.db is gone, .*Put the file back, or remove the data dir/, fake(house.dataDir));
      assert.equal(existsSync(file('cloud.db')), false);
      back('cloud.db');
      writeFileSync(file('token-keys.pem'), 'no key');
      await refused(/\/token-keys\.pem/, fake(house.dataDir));
      back('token-keys.pem');
      const again = await startHouse({ dataDir: house.dataDir });
      assert.equal((await (await again.as('demo')).compute.ask('GET', '/servers')).status, 200);
      await again.stop();
    } finally {
      await house.remove();
    }
  });

  test('the config is absent, or says something that cannot be: file, section, option and value', async () => {
    const dir = join(root, 'config');
    const cases: readonly (readonly [string, RegExp])[] = [
      ['[DEFAULT]\nosapi_compute_listen_port = many\n', /\.conf: \[DEFAULT\] osapi_compute_listen_port = many is not an integer/],
      ['[DEFAULT]\ndebug = perhaps\n', /\.conf: \[DEFAULT\] debug = perhaps is neither true nor false/],
      ['[DEFAULT]\ncompute_driver = vmware\n', /compute_driver = vmware is not served\. Served: auto, qemu, fake\./],
      ['[DEFAULT]\ntransport_url = carrier-pigeon://x\n', /transport_url must be memory:\/\/ or rabbit:\/\//],
      ['[database]\nconnection = oracle://x/y\n', /oracle:\/\/ names no database that is served\. Served: sqlite:\/\/\/FILE/],
      ['[filter_scheduler]\nenabled_filters = NoSuchFilter\n', /NoSuchFilter/],
      ['[oslo_policy]\npolicy_file = /nowhere/policy.yaml\n', /\/nowhere\/policy\.yaml/],
    ];
    for (const [index, [text, sentence]] of cases.entries()) {
      const file = config(`case-${index}.conf`, text);
      const wish = text.includes('compute_driver') ? [] : ['--hypervisor', 'fake'];
      await refused(sentence, ['--data-dir', join(dir, String(index)), '--port', '0', '--config', file, ...wish]);
    }
    await refused(/The config file \/nowhere\.conf cannot be read: .*ENOENT/, [...fake(dir), '--config', '/nowhere.conf']);
    await refused(/The config file \S+ cannot be read: .*EISDIR/, [...fake(dir), '--config', root]);
    await refused(/The image \/nowhere\.qcow2 does not exist\./, [...fake(dir), '--image', '/nowhere.qcow2']);
  });
});
