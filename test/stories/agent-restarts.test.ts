import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { computeAgentContract } from '../../src/bus/contracts/compute-agent.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { CloudError } from '../../src/model/errors.ts';
import { openHouse } from '../core-house.ts';

const hasCode = (code: string) => (cause: unknown) => cause instanceof CloudError && cause.code === code;

test('an agent that restarts in the middle of builds goes on with them; guests that run are adopted', async () => {
  const house = await openHouse({
    hosts: 1,
    conductor: { resendMs: 100, pollMs: 50 },
    host: { misbehaviour: { spawn: { slowMs: 60 } } },
    agent: { stopGraceMs: 1 },
  });
  try {
    const uuids = await house.create({ count: 20 });
    await house.until(
      () => house.db.read.selectFrom('servers').select('uuid').where('vm_state', '=', 'active').execute(),
      (rows) => rows.length >= 5,
    );
    await house.agents.get('host-0')?.stop();
    // A half line, as a kill leaves it, is no harm.
    appendFileSync(join(house.dir, 'host-0', 'journal.jsonl'), '{"uuid":"half');
    await house.startAgent('host-0');
    await house.quiet(20_000);
    for (const uuid of uuids) assert.equal((await house.server(uuid))?.vmState, 'active', (await house.server(uuid))?.fault?.message);
    await house.until(house.audit, (wrong) => wrong.length === 0, 3000);
  } finally {
    await house.close();
  }
});

test('a message that comes again after another deed was done does nothing', async () => {
  const house = await openHouse({ hosts: 1 });
  try {
    const [uuid = ''] = await house.create({ count: 1 });
    const epoch = (await house.settled(uuid))?.epoch ?? 0;
    const power = async () => (await house.bus.ask(computeAgentContract, 'showGuest', { uuid }, { host: 'host-0' })).guest?.power;
    const message = (deed: 'powerOff' | 'powerOn' | 'pause', args: Record<string, unknown>) => {
      const command = { jobUuid: newUuid(), uuid, epoch, deadline: systemClock.now() + 60_000_000, step: 'act', deed, args };
      return () => house.bus.tell(computeAgentContract, 'doDeed', command, { host: 'host-0' });
    };
    const off = message('powerOff', { graceMs: 0 });
    await off();
    await house.until(power, (now) => now === 'shutdown');
    await message('powerOn', {})();
    await house.until(power, (now) => now === 'running');
    await off();
    await message('pause', {})(); // done in turn, so behind that
    await house.until(power, (now) => now === 'paused');
  } finally {
    await house.close();
  }
});

test('a second agent on the same state directory is told so', async () => {
  const house = await openHouse({ hosts: 1 });
  try {
    await assert.rejects(house.startAgent('host-0'), hasCode('agent.state_dir_taken'));
  } finally {
    await house.close();
  }
});

test('a second machine with the name of a living host is refused, and an agent with an older epoch too', async () => {
  const house = await openHouse({ hosts: 1 });
  try {
    const other = join(house.dir, 'elsewhere');
    await assert.rejects(house.startAgent('host-0', { stateDir: other }, { stateDir: other }), hasCode('host.taken'));
    const known = await house.db.read.selectFrom('hypervisors').selectAll().executeTakeFirstOrThrow();
    const { conductorContract } = await import('../../src/bus/contracts/conductor.ts');
    const stale = { host: 'host-0', hostUuid: known.uuid, epoch: known.agent_epoch - 1, known: [] };
    await assert.rejects(house.bus.ask(conductorContract, 'listOwned', stale), hasCode('host.stale_agent'));
  } finally {
    await house.close();
  }
});

test('servers deleted while their host was down are put away when it returns', async () => {
  const house = await openHouse({ hosts: 1, conductor: { serviceDownTime: 60 } });
  try {
    const uuids = await house.create({ count: 3 });
    for (const uuid of uuids) await house.settled(uuid);
    await house.agents.get('host-0')?.stop();
    await house.db.transaction((tx) => tx.updateTable('services').set({ forced_down: 1 }).where('host', '=', 'host-0').execute());
    await house.delete(uuids[0]!);
    assert.equal((await house.settled(uuids[0]!))?.deleted, true);
    assert.equal(house.network.ports.has(uuids[0]!), false);
    await house.power(uuids[1]!, 'stop');
    const refused = await house.settled(uuids[1]!);
    assert.equal(refused?.vmState, 'active');
    assert.match(refused?.fault?.message ?? '', /is down/);
    await house.db.transaction((tx) => tx.updateTable('services').set({ forced_down: 0 }).where('host', '=', 'host-0').execute());
    await house.startAgent('host-0');
    await house.until(house.audit, (wrong) => wrong.length === 0, 3000);
  } finally {
    await house.close();
  }
});

test('a host that goes down in the middle of a build: the build goes elsewhere, and what it left is put away', async () => {
  const house = await openHouse({
    hosts: 1,
    conductor: { resendMs: 50, pollMs: 50 },
    host: { vcpus: 2000, misbehaviour: { spawn: { slowMs: 300 } } },
    agent: { stopGraceMs: 1 },
  });
  try {
    const [uuid] = await house.create();
    await house.until(
      () => house.server(uuid!),
      (server) => server?.host === 'host-0',
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    await house.agents.get('host-0')?.stop();
    await house.startAgent('host-9', { misbehaviour: {} });
    await house.db.transaction((tx) => tx.updateTable('services').set({ forced_down: 1 }).where('host', '=', 'host-0').execute());
    const server = await house.settled(uuid!);
    assert.equal(server?.vmState, 'active', server?.fault?.message);
    assert.equal(server?.host, 'host-9');
    await house.db.transaction((tx) => tx.updateTable('services').set({ forced_down: 0 }).where('host', '=', 'host-0').execute());
    await house.startAgent('host-0');
    await house.until(house.audit, (wrong) => wrong.length === 0, 3000);
  } finally {
    await house.close();
  }
});

test('a guest that stops by itself is stopped within a second, one that crashes too', async () => {
  const house = await openHouse({ hosts: 1 });
  try {
    const [gone] = await house.create({ metadata: { 'fake:shutdown': 'after-spawn' } });
    const [crashed] = await house.create({ metadata: { 'fake:crash': 'after-spawn' } });
    const stopped = await house.until(
      () => house.server(gone!),
      (server) => server?.vmState === 'stopped',
      1000,
    );
    assert.equal(stopped?.powerState, 4);
    const other = await house.until(
      () => house.server(crashed!),
      (server) => server?.vmState === 'stopped',
      1000,
    );
    assert.equal(other?.powerState, 6);
    assert.deepEqual(await house.audit(), []);
  } finally {
    await house.close();
  }
});

test('a job past its deadline: the server is in error with the reason, and everything is given back', async () => {
  const house = await openHouse({ hosts: 1, conductor: { resendMs: 40, pollMs: 50 }, host: { misbehaviour: { spawn: { slowMs: 1500 } } } });
  try {
    const [uuid] = await house.create();
    await house.until(
      () => house.server(uuid!),
      (server) => server?.host === 'host-0',
    );
    await house.db.transaction((tx) => tx.updateTable('jobs').set({ deadline: 1 }).execute());
    const server = await house.settled(uuid!);
    assert.match(server?.fault?.message ?? '', /did not end within .* it stood at the step build/);
    await house.until(house.audit, (wrong) => wrong.length === 0, 5000);
  } finally {
    await house.close();
  }
});
