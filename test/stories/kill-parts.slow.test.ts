import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Database } from '../../src/db/engine.ts';
import { openDatabase } from '../../src/db/open.ts';
import { createFakeDriver } from '../../src/hypervisors/fake/fake-driver.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { CloudError } from '../../src/model/errors.ts';
import { audit } from '../audit.ts';
import { openPartsHouse, type PartName, type PartsHouse } from '../house/parts.ts';
import { type Client, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { startMariadb } from '../servers/mariadb.ts';
import type { PrivateServer } from '../servers/private-server.ts';
import { startRabbitmq } from '../servers/rabbitmq.ts';

const skip = requires('rabbitmq', 'mariadb');
const COUNT = 40;
let database: PrivateServer;
let broker: PrivateServer;
let house: PartsHouse;
let db: Database;
let user: Client;
let image: string;
before(async () => {
  if (skip) return;
  [database, broker] = await Promise.all([startMariadb(), startRabbitmq()]);
  house = await openPartsHouse({
    databaseUrl: database.url,
    brokerUrl: broker.url,
    config: { DEFAULT: ['host = host-1'], quota: ['instances = -1', 'cores = -1', 'ram = -1'] },
  });
  const parts = (['api', 'conductor', 'scheduler', 'agent'] as const).map((part) => house.begin(part));
  await Promise.all(parts.map((part) => part.ready()));
  db = await openDatabase({ url: database.url });
  user = await house.as('demo');
  image = (await user.image.ask<{ images: { id: string }[] }>('GET', '/v2/images')).body.images[0]?.id ?? '';
});
after(async () => {
  await db?.close();
  await house?.remove();
  await Promise.all([database?.stop(), broker?.stop()]);
});

/** Asks for a server until it gets an answer; undefined when nobody can know whether one was made. */
async function create(name: string): Promise<string | undefined> {
  const server = { name, imageRef: image, flavorRef: '1', metadata: { 'fake:spawn': 'slow:300' } };
  try {
    return (await user.compute.ask<{ server: { id: string } }>('POST', '/servers', { body: { server } })).body.server.id;
  } catch (cause) {
    if (!(cause instanceof CloudError) || !['unavailable', 'badGateway'].includes(cause.kind)) throw cause;
    return undefined; // its process or its database was killed while it asked
  }
}

const rows = () => db.read.selectFrom('servers').select(['uuid', 'vm_state', 'task_state', 'fault']).where('deleted', '=', 0).execute();

/** 40 builds on their way, then `strike`; at the end each server that was accepted stands or says why not, and all can be deleted with nothing left. */
async function survives(strike: () => Promise<void>): Promise<void> {
  let made = 0;
  const asked = Array.from({ length: COUNT }, (_, n) => create(`s${n}`).finally(() => made++));
  await waitFor(
    async () => made > COUNT / 4,
    20_000,
    () => 'no create was answered',
  );
  await strike();
  const accepted = (await Promise.all(asked)).filter((id) => id !== undefined);
  assert.ok(accepted.length > COUNT / 4);
  let last: Awaited<ReturnType<typeof rows>> = [];
  await waitFor(
    async () => {
      last = await rows();
      return last.every((row) => row.task_state === null && row.vm_state !== 'building');
    },
    60_000,
    () =>
      `not settled: ${last.filter((row) => row.task_state !== null || row.vm_state === 'building').map((row) => `${row.uuid} ${row.vm_state} ${row.task_state}`)}`,
    100,
  );
  for (const id of accepted) {
    const row = last.find((one) => one.uuid === id);
    assert.ok(row, `the accepted server ${id} is gone`);
    assert.ok(row.vm_state === 'active' || (row.vm_state === 'error' && row.fault !== null), `${id} is ${row.vm_state} ${row.fault}`);
  }
  const errors = last.filter((row) => row.vm_state === 'error');
  assert.ok(errors.length <= COUNT / 10, `${errors.length} of ${last.length} failed: ${errors[0]?.fault}`);
  await Promise.all(last.map((row) => user.compute.ask('DELETE', `/servers/${row.uuid}`)));
  await waitFor(
    async () => (await rows()).length === 0,
    60_000,
    () => 'servers are still being deleted',
    100,
  );
  assert.deepEqual(await audit(db, { drivers: {}, portOwners }), []);
}
async function portOwners(): Promise<string[]> {
  const owners = await db.read.selectFrom('net_ports').select('device_id').where('device_owner', 'like', 'compute:%').execute();
  return owners.map((row) => row.device_id).filter((id) => id !== '');
}

for (const part of ['conductor', 'agent', 'scheduler', 'api'] as const satisfies readonly PartName[]) {
  test(`${part} killed by kill -9 in the middle of 40 builds`, { skip }, () =>
    survives(async () => {
      await house.running.get(part)?.kill();
      await systemClock.sleep(300);
      await house.start(part);
    }),
  );
}
for (const [name, server] of [
  ['broker', () => broker],
  ['database', () => database],
] as const) {
  test(`the ${name} killed by kill -9 in the middle of 40 builds`, { skip }, () =>
    survives(async () => {
      await server().kill();
      await server().restart();
    }),
  );
}

test('at the end the hypervisor runs no guest, and all parts end in order', { skip }, async () => {
  assert.deepEqual(await house.stop(), { api: 0, conductor: 0, scheduler: 0, agent: 0 });
  const driver = createFakeDriver({ hostname: 'host-1', clock: systemClock, stateDir: join(house.dataDir('agent'), 'agent', 'fake') });
  await driver.start();
  try {
    assert.deepEqual(await driver.guests(), []);
    assert.deepEqual(await audit(db, { drivers: { 'host-1': driver }, portOwners }), []);
  } finally {
    await driver.close();
  }
});
