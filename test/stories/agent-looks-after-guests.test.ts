import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newUuid } from '../../src/lib/ids.ts';
import type { Log } from '../../src/lib/log.ts';
import { silentLog } from '../../src/lib/log.ts';
import { agentDefaults } from '../../src/services/compute-agent/parts.ts';
import { type House, openHouse } from '../core-house.ts';

const lines: string[] = [];
const hear = (_more: object, line?: string) => void lines.push(line ?? '');
const log = { ...silentLog, warn: hear, info: hear, child: () => log } as Log;
let house: House;
before(async () => {
  house = await openHouse({ hosts: 1, log, agent: { resendMs: 50 } });
});
after(() => house.close());

const reborn = async (more: Parameters<House['startAgent']>[2]) => {
  await house.agents.get('host-0')?.stop();
  return house.startAgent('host-0', {}, more);
};
const made = async () => {
  const [uuid = ''] = await house.create();
  assert.equal((await house.settled(uuid))?.vmState, 'active');
  return uuid;
};
const guestOf = async (uuid: string) => house.drivers['host-0']?.guest(uuid);
const becomes = (uuid: string, vmState: string) =>
  house.until(
    () => house.server(uuid),
    (server) => server?.vmState === vmState && server.taskState === null,
  );
/** A guest that the cloud believes gone: its row says deleted, and nobody told its host. */
const forgotten = async (uuid: string) => {
  const at = Date.now() * 1000;
  await house.db.transaction((tx) =>
    tx.updateTable('servers').set({ deleted: 1, deleted_at: at, host: null }).where('uuid', '=', uuid).execute(),
  );
};
const rules = (action: 'reap' | 'shutdown' | 'log' | 'noop', timeoutMs = 0) => ({ runningDeleted: { action, timeoutMs, pollMs: 0 } });

test('running_deleted_instance_action: left alone, told of, turned off, or gone with its disks; not before its time', async () => {
  const uuid = await made();
  await forgotten(uuid);
  for (const action of ['noop', 'log'] as const) {
    lines.splice(0);
    await (await reborn(rules(action))).sync();
    assert.equal((await guestOf(uuid))?.power, 'running');
    assert.equal(lines.includes('a guest is here whose server is deleted'), action === 'log');
  }
  await (await reborn(rules('reap', 3_600_000))).sync();
  assert.equal((await guestOf(uuid))?.power, 'running', 'it was deleted just now');
  await (await reborn(rules('shutdown'))).sync();
  assert.equal((await guestOf(uuid))?.power, 'shutdown');
  await (await reborn(rules('reap'))).sync();
  assert.equal(await guestOf(uuid), undefined);
});

test('a guest of which the cloud has no row at all is turned off and kept, not removed', async () => {
  const uuid = await made();
  const keep = await house.db.read.selectFrom('servers').selectAll().where('uuid', '=', uuid).executeTakeFirstOrThrow();
  await house.db.transaction((tx) => tx.updateTable('servers').set({ uuid: newUuid() }).where('id', '=', keep.id).execute());
  await house.agents.get('host-0')?.sync();
  await house.db.transaction((tx) => tx.updateTable('servers').set({ uuid }).where('id', '=', keep.id).execute());
  assert.equal(await guestOf(uuid), undefined, 'it does not run');
  await house.agents.get('host-0')?.sync(); // it is the host's again
  await house.agents.get('host-0')?.sync();
  const server = await becomes(uuid, 'stopped');
  assert.equal(server?.host, 'host-0');
  await house.power(uuid, 'start');
  await becomes(uuid, 'active');
});

test('resume_guests_state_on_host_boot: what ran before runs again; without it the server is stopped', async () => {
  const [one, two, stopped] = [await made(), await made(), await made()];
  await house.power(stopped, 'stop');
  await becomes(stopped, 'stopped');
  for (const uuid of [one, two]) await house.drivers['host-0']?.powerOff(uuid, 0); // as a host that lost its power has them
  await house.db.transaction((tx) =>
    tx.updateTable('servers').set({ power_state: 4, vm_state: 'stopped' }).where('uuid', '=', two).execute(),
  );
  await reborn({ resumeGuests: true });
  await house.until(
    () => guestOf(one),
    (guest) => guest?.power === 'running',
  );
  assert.equal((await becomes(one, 'active'))?.powerState, 1);
  assert.deepEqual([(await guestOf(two))?.power, (await guestOf(stopped))?.power], ['shutdown', 'shutdown']);
  await house.drivers['host-0']?.powerOff(one, 0);
  await reborn({ resumeGuests: false });
  await becomes(one, 'stopped');
});

test('sync_power_state_interval: what nobody was told of is found at the next comparison', async () => {
  const uuid = await made();
  await reborn({ syncMs: 20, runningDeleted: { ...agentDefaults.runningDeleted, pollMs: 0 } });
  await house.drivers['host-0']?.powerOff(uuid, 0);
  await becomes(uuid, 'stopped');
});

test('a host that shrinks says so, to the log and to the cloud; an image nobody uses goes', async () => {
  const uuid = await made();
  await reborn({ reportMs: 20, inventoryMs: 20, imageCache: { ...agentDefaults.imageCache, everyMs: 20, minimumAgeMs: 0 } });
  const driver = house.drivers['host-0']!;
  const whole = await driver.inventory();
  lines.splice(0);
  Object.assign(driver, { inventory: async () => ({ ...whole, memoryMiB: 256, vcpus: 1 }) });
  const seen = await house.until(
    () => house.db.read.selectFrom('hypervisors').selectAll().where('host', '=', 'host-0').executeTakeFirstOrThrow(),
    (row) => row.memory_mib === 256,
  );
  assert.equal(seen.vcpus, 1);
  const total = await house.db.read.selectFrom('inventories').selectAll().where('resource_class', '=', 'MEMORY_MB').executeTakeFirst();
  assert.equal(total?.total, 256);
  assert.ok(lines.some((line) => /^the host offers something else than before: vcpus 1000 -> 1, memoryMiB 800000 -> 256/.test(line)));
  assert.ok(lines.some((line) => /^more is promised to guests than the host has: .*MEMORY_MB/.test(line)));
  Object.assign(driver, { inventory: async () => whole });
  const images = async () => (await driver.tidyCache({ removeUnused: false, minimumAgeMs: 0, limitBytes: 0 })).images;
  assert.equal(await images(), 1);
  const others = (await house.db.read.selectFrom('servers').select('uuid').where('deleted', '=', 0).execute()).map((row) => row.uuid);
  for (const one of new Set([uuid, ...others])) await house.delete(one);
  await house.until(images, (left) => left === 0);
  await house.until(
    async () => lines,
    () => lines.some((line) => /^the image cache holds 0 images of 0 MiB, 0 of them in use; 1 unused ones/.test(line)),
  );
});
