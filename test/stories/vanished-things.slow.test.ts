import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Database } from '../../src/db/engine.ts';
import { openDatabase } from '../../src/db/open.ts';
import { audit } from '../audit.ts';
import { auditNeighbours } from '../audit-neighbours.ts';
import { type Asker, askerFor } from '../chaos/asker.ts';
import { patiently } from '../chaos/settle.ts';
import { type House, startHouse, waitFor } from '../house/running.ts';

// What a server needs goes away under it: it says so, stands as it was, and can be deleted with nothing left.
let house: House;
let db: Database;
let demo: Asker;
let admin: Asker;
const wrong: string[] = [];
before(async () => {
  house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '2'] });
  db = await openDatabase({ url: join(house.dataDir, 'cloud.db') });
  demo = await askerFor(house.base, house.dataDir, 'demo', (what) => wrong.push(what));
  admin = await askerFor(house.base, house.dataDir, 'admin', (what) => wrong.push(what));
});
after(async () => {
  await db?.close();
  await house?.remove();
});
const shown = async (id: string) => (await demo.ask('GET', `/v2.1/servers/${id}`)).body.server;
const becomes = async (id: string, ...statuses: (string | undefined)[]) => {
  let seen: { status?: string; 'OS-EXT-STS:task_state'?: string | null; fault?: { message: string } } | undefined;
  await waitFor(
    async () => {
      seen = await shown(id);
      return statuses.includes(seen?.status) && (seen?.['OS-EXT-STS:task_state'] ?? null) === null;
    },
    30_000,
    () => `it is ${JSON.stringify(seen)} instead of ${statuses}`,
  );
  return seen;
};
const nothingIsLeft = async () => {
  const left = () =>
    patiently(async () => [...(await audit(db, { drivers: {} })), ...(await auditNeighbours(db, house.dataDir))], 15_000, 50);
  assert.deepEqual(await left(), []);
  assert.deepEqual(wrong, []);
};
const end = async (...ids: string[]) => {
  for (const id of ids) assert.ok([204, 404].includes((await demo.ask('DELETE', `/v2.1/servers/${id}`)).status));
  for (const id of ids) await becomes(id, undefined);
};

test('an image that is deleted while servers are built from it: each stands, or says what is missing', async () => {
  const ids: string[] = [];
  for (let turn = 0; turn < 3; turn++) {
    const { id: image } = (await demo.ask('POST', '/image/v2/images', { name: 'short', disk_format: 'raw', container_format: 'bare' }))
      .body;
    const { token } = (await house.as('demo')) satisfies { token: string };
    const headers = { 'x-auth-token': token, 'content-type': 'application/octet-stream' };
    const sent = await fetch(`${house.base}/image/v2/images/${image}/file`, { method: 'PUT', headers, body: Buffer.alloc(200_000, turn) });
    assert.equal(sent.status, 204);
    const server = { name: 'hasty', imageRef: image, flavorRef: '6', networks: 'auto', min_count: 3, max_count: 3 };
    const made = demo.ask('POST', '/v2.1/servers', { server });
    const { id } = (await made).body.server;
    await demo.ask('DELETE', `/image/v2/images/${image}`);
    const listed = (await demo.ask('GET', '/v2.1/servers?name=hasty')).body.servers.map((one: { id: string }) => one.id);
    ids.push(...listed.filter((one: string) => !ids.includes(one)));
    assert.ok(ids.includes(id));
  }
  for (const id of ids) {
    const seen = await becomes(id, 'ACTIVE', 'ERROR');
    if (seen?.status === 'ERROR') assert.match(seen.fault?.message ?? '', /image/i);
  }
  await end(...ids);
  await nothingIsLeft();
});

test('a volume that is gone under its server: a move says so and changes nothing, and it can be detached or deleted with the server', async () => {
  const image = (await demo.ask('GET', '/image/v2/images')).body.images[0].id;
  const server = { name: 'bereft', imageRef: image, flavorRef: '6', networks: 'auto' };
  const { id } = (await demo.ask('POST', '/v2.1/servers', { server })).body.server;
  await becomes(id, 'ACTIVE');
  const { id: volumeId } = (await demo.ask('POST', '/volume/v3/volumes', { volume: { size: 1, name: 'v' } })).body.volume;
  const volume = async () => (await demo.ask('GET', `/volume/v3/volumes/${volumeId}`)).body.volume?.status;
  const volumeIs = (status: string | undefined) =>
    waitFor(
      async () => (await volume()) === status,
      15_000,
      () => `the volume is not ${status}`,
    );
  await volumeIs('available');
  await demo.ask('POST', `/v2.1/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId } });
  await volumeIs('in-use');
  const { host } = await db.read.selectFrom('servers').select('host').where('uuid', '=', id).executeTakeFirstOrThrow();
  assert.equal((await admin.ask('POST', `/volume/v3/volumes/${volumeId}/action`, { 'os-force_delete': {} })).status, 202);
  await volumeIs(undefined);
  assert.equal((await admin.ask('POST', `/v2.1/servers/${id}/action`, { migrate: { host: null } })).status, 202);
  await becomes(id, 'ACTIVE');
  const row = await db.read.selectFrom('servers').select(['host', 'fault']).where('uuid', '=', id).executeTakeFirstOrThrow();
  assert.equal(row.host, host);
  assert.match(row.fault ?? '', /volume/i);
  await end(id);
  await nothingIsLeft();
});
