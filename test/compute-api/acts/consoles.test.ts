import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { storePassword } from '../../../src/db/tables/compute/server-passwords.ts';
import { type ActHouse, openActHouse } from './house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse();
});
after(() => house.close());

const open = (id: string, protocol: string, type: string) =>
  house.ask(`POST /servers/${id}/remote-consoles`, { at: '2.99', body: { remote_console: { protocol, type } } });
const rowsOf = async (table: 'console_tokens' | 'server_passwords', id: string) =>
  (await house.db.read.selectFrom(table).select('server_uuid').where('server_uuid', '=', id).execute()).length;

test('a console of a running guest, asked of its host; none of one that is off; tokens end with the server', async () => {
  const id = await house.boot();
  for (const [protocol, type] of [
    ['vnc', 'novnc'],
    ['spice', 'spice-html5'],
    ['serial', 'serial'],
  ] as const) {
    const made = await open(id, protocol, type);
    assert.equal(made.status, 200, made.text);
    const token = /token(?:=|%3D)([\w-]+)/.exec(made.body.remote_console.url)?.[1];
    const { body } = await house.ask(`GET /os-console-auth-tokens/${token}`, { as: 'admin', at: '2.31' });
    assert.deepEqual([body.console.instance_uuid, body.console.host, body.console.port], [id, `${protocol}.fake.invalid`, 6969]);
  }
  assert.equal(await rowsOf('console_tokens', id), 3);
  await house.act(id, { 'os-stop': null });
  await house.ended(id);
  const off = await open(id, 'vnc', 'novnc');
  assert.deepEqual([off.status, off.body.badRequest.message], [400, 'Unavailable console type vnc.']);
  assert.equal((await house.ask(`DELETE /servers/${id}`)).status, 204);
  assert.equal((await house.ended(id)).deleted, true);
  assert.equal(await rowsOf('console_tokens', id), 0);
});

test('the password a guest has posted is shown, cleared, and gone with the server', async () => {
  const id = await house.boot();
  const place = `/servers/${id}/os-server-password`;
  assert.deepEqual((await house.ask(`GET ${place}`)).body, { password: '' });
  assert.equal(await storePassword(house.db, id, 'secret', 1), true);
  assert.equal(await storePassword(house.db, id, 'other', 1), false);
  assert.deepEqual((await house.ask(`GET ${place}`)).body, { password: 'secret' });
  assert.equal((await house.ask(`GET ${place}`, { as: 'other' })).status, 404);
  assert.equal((await house.ask(`DELETE ${place}`)).status, 204);
  assert.deepEqual((await house.ask(`GET ${place}`)).body, { password: '' });
  assert.equal(await storePassword(house.db, id, 'other', 1), true);
  await house.ask(`DELETE /servers/${id}`);
  await house.ended(id);
  assert.equal(await rowsOf('server_passwords', id), 0);
});
