import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busContract } from '../../test/contracts/bus.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { memoryBus } from './memory.ts';
import { openBus } from './open.ts';

busContract('memory', false, async () => ({
  make: (_cloud, more = {}) => memoryBus({ clock: systemClock, log: silentLog, ...more }),
  shared: false,
  stop: async () => {},
}));

test('a bus is opened by its URL, and a wrong URL says what is right', async () => {
  const bus = await openBus({ url: 'memory://', clock: systemClock, log: silentLog });
  assert.equal(bus.healthy(), true);
  await bus.close();
  await assert.rejects(openBus({ url: 'kafka://x', clock: systemClock, log: silentLog }), /transport_url must be memory/);
  await assert.rejects(openBus({ url: 'rabbit://a:b@[::1]:1/x', clock: systemClock, log: silentLog }), /host name/);
});

test('notifications of a memory bus reach the one who asked for them', async () => {
  const heard: unknown[] = [];
  const bus = memoryBus({ clock: systemClock, log: silentLog, notified: (topic, envelope) => heard.push([topic, envelope]) });
  await bus.notify('versioned_notifications.info', { event_type: 'instance.create.end' });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(heard, [['versioned_notifications.info', { event_type: 'instance.create.end' }]]);
});
