import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sha256 } from '../../src/lib/ids.ts';
import { CloudError } from '../../src/model/errors.ts';
import { consoleNotSupported } from '../../src/model/errors-misc-api.ts';
import { type Ask, type ComputeHouse, openComputeHouse } from '../support/compute-api.ts';
import { furnish, SERVER_UUID } from '../support/compute-world.ts';

let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse({
    consoleAddress: async (server, protocol) => {
      if (server.name === 'without') throw consoleNotSupported({ protocol, driver: 'fake' });
      return { host: `${protocol}.example`, port: 5900, tlsPort: 5901, path: server.uuid, socket: null };
    },
  });
  await furnish(house.db, house.clock);
});
after(() => house.close());
const set = (more: object) => house.db.transaction((tx) => tx.updateTable('servers').set(more).execute());
beforeEach(() => set({ host: 'host1', task_state: null, deleted: 0, name: 'one' }));

const open = (protocol: string, type: string, more: Ask = {}) =>
  house.ask(`POST /servers/${SERVER_UUID}/remote-consoles`, {
    as: 'demo',
    at: '2.99',
    body: { remote_console: { protocol, type } },
    ...more,
  });
const tokenIn = (url: string) => /token(?:=|%3D)([\w-]+)/.exec(url)?.[1] ?? '';
const look = (token: string, at = '2.99', as = 'admin') => house.ask(`GET /os-console-auth-tokens/${token}`, { at, as });
const newToken = async (type = 'novnc', protocol = 'vnc') => tokenIn((await open(protocol, type)).body.remote_console.url);

test('each type has its proxy’s address with a token of its own', async () => {
  for (const [protocol, type, form] of [
    ['vnc', 'novnc', /^http:\/\/proxy\.example\/vnc_auto\.html\?path=ws%3Ftoken%3D[0-9a-f-]{36}$/],
    ['spice', 'spice-html5', /^http:\/\/proxy\.example\/spice_auto\.html\?token=[0-9a-f-]{36}$/],
    ['spice', 'spice-direct', /^http:\/\/proxy\.example\/nova\?token=[0-9a-f-]{36}$/],
    ['serial', 'serial', /^ws:\/\/proxy\.example\/\?token=[0-9a-f-]{36}$/],
  ] as const) {
    const { status, body } = await open(protocol, type);
    assert.equal(status, 200);
    assert.deepEqual({ ...body.remote_console, url: '' }, { protocol, type, url: '' });
    assert.match(body.remote_console.url, form);
  }
  for (const [action, type] of [
    ['os-getVNCConsole', 'novnc'],
    ['os-getSPICEConsole', 'spice-html5'],
    ['os-getSerialConsole', 'serial'],
  ] as const) {
    const act = (at: string | undefined) =>
      house.ask(`POST /servers/${SERVER_UUID}/action`, { as: 'demo', at, body: { [action]: { type } } });
    assert.equal((await act('2.5')).body.console.type, type);
    assert.equal((await act(undefined)).status, 200);
    assert.equal((await act('2.6')).status, 404);
  }
  assert.equal((await open('vnc', 'novnc', { at: '2.5' })).status, 404);
});

test('what is not offered says so', async () => {
  for (const [protocol, type, status, said] of [
    ['mks', 'webmks', 400, 'Unavailable console type webmks.'],
    ['vnc', 'xvpvnc', 400, 'Invalid console type xvpvnc'],
    ['vnc', 'serial', 400, 'Invalid console type serial'],
    ['rdp', 'rdp-html5', 400, 'Unavailable console type rdp.'],
  ] as const) {
    const answer = await open(protocol, type);
    assert.deepEqual([answer.status, answer.body.badRequest.message], [status, said]);
  }
  assert.equal((await open('vnc', 'telnet')).status, 400);
  assert.equal((await open('mks', 'webmks', { at: '2.7' })).status, 400);
  assert.equal((await open('spice', 'spice-direct', { at: '2.98' })).status, 400);
  await set({ name: 'without' });
  const answer = await open('vnc', 'novnc');
  assert.equal(answer.status, 501);
  assert.match(answer.body.notImplemented.message, /the fake driver of this host has no vnc consoles/);
});

test('a server without a host, or on its way, has none; other projects do not see it', async () => {
  await set({ host: null });
  assert.equal((await open('vnc', 'novnc')).body.conflictingRequest.message, `Instance ${SERVER_UUID} is not ready`);
  for (const task_state of ['deleting', 'migrating']) {
    await set({ host: 'host1', task_state });
    assert.equal((await open('vnc', 'novnc')).status, 409, task_state);
  }
  await set({ task_state: 'powering-off' });
  assert.equal((await open('vnc', 'novnc')).status, 200);
  assert.equal((await open('vnc', 'novnc', { as: 'other' })).status, 404);
});

test('a token is looked up by proxies: only its hash is kept', async () => {
  const token = await newToken();
  const rows = await house.db.read.selectFrom('console_tokens').selectAll().execute();
  assert.ok(rows.some((row) => row.token_hash === sha256(token)));
  assert.ok(!JSON.stringify(rows).includes(token));
  const common = { instance_uuid: SERVER_UUID, host: 'vnc.example', port: 5900 };
  assert.deepEqual((await look(token)).body, { console: { ...common, internal_access_path: SERVER_UUID } });
  const direct = { ...common, host: 'spice.example', internal_access_path: null };
  const spice = await newToken('spice-direct', 'spice');
  assert.deepEqual((await look(spice)).body, { console: { ...direct, tls_port: 5901 } });
  assert.deepEqual((await look(spice, '2.98')).body, { console: direct });
  assert.equal((await look(token, '2.30')).status, 400);
  assert.equal((await look(token, '2.99', 'demo')).status, 403);
  for (const other of [token.toUpperCase(), sha256(token), `${token}0`, 'x']) assert.equal((await look(other)).status, 404, other);
  assert.equal((await house.ask(`GET /os-console-auth-tokens/${token}?x=1`, { at: '2.99' })).status, 400);
  assert.equal((await house.ask(`GET /os-console-auth-tokens/${token}?x=1`, { at: '2.98' })).status, 200);
});

test('a token ends with its time, its server’s host, or its server', async () => {
  const token = await newToken();
  await house.clock.advance(599_000);
  assert.equal((await look(token)).status, 200);
  await house.clock.advance(1000);
  assert.equal((await look(token)).status, 404);
  const moved = await newToken();
  assert.equal((await house.db.read.selectFrom('console_tokens').selectAll().execute()).length, 1, 'expired ones are cleared away');
  await set({ host: 'host2' });
  assert.equal((await look(moved)).status, 404);
  const gone = await newToken();
  await set({ deleted: 7 });
  assert.equal((await look(gone)).status, 404);
});

test('a host that does not answer is a 409', async () => {
  const other = await openComputeHouse({
    consoleAddress: async () => {
      throw new CloudError('server.not_ready', 'conflict', 'not ready');
    },
  });
  try {
    await furnish(other.db, other.clock);
    const body = { remote_console: { protocol: 'vnc', type: 'novnc' } };
    assert.equal((await other.ask(`POST /servers/${SERVER_UUID}/remote-consoles`, { at: '2.6', body })).status, 409);
    assert.deepEqual(await other.db.read.selectFrom('console_tokens').selectAll().execute(), []);
  } finally {
    await other.close();
  }
});
