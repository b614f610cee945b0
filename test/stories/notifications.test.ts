import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openHouse } from '../core-house.ts';
import { noCatalogue, notificationSample, shapeCheck } from '../support/catalogue.ts';
import { NULLABLE } from '../support/notification-nulls.ts';

interface Heard {
  readonly topic: string;
  // biome-ignore lint/suspicious/noExplicitAny: envelopes of every kind, looked into by assertions
  readonly said: any;
}
async function hearing(more: { host?: object } = {}) {
  const heard: Heard[] = [];
  const house = await openHouse({
    hosts: 1,
    ...more,
    told: {
      notifications: {
        format: 'both',
        versionedTopics: ['versioned_notifications'],
        topics: ['notifications'],
        onStateChange: 'vm_and_task_state',
        disks: true,
      },
      notify: async (topic, said) => void heard.push({ topic, said }),
    },
  });
  const events = (topic: string) => heard.filter((one) => one.topic.startsWith(topic)).map((one) => one.said.event_type as string);
  return { house, heard, events };
}

test('a server’s life is told in its order, in both forms', async () => {
  const { house, heard, events } = await hearing();
  try {
    const [id = ''] = await house.create();
    await house.settled(id);
    await house.power(id, 'stop');
    await house.settled(id);
    await house.power(id, 'reboot-hard');
    await house.settled(id);
    await house.delete(id);
    await house.until(
      async () => events('versioned').includes('instance.delete.end'),
      (told) => told,
      5000,
    );
    const phases = events('versioned').filter((event) => event.startsWith('instance.') && event !== 'instance.update');
    assert.deepEqual(phases, [
      'instance.create.start',
      'instance.create.end',
      'instance.power_off.start',
      'instance.power_off.end',
      'instance.reboot.start',
      'instance.reboot.end',
      'instance.delete.start',
      'instance.shutdown.start',
      'instance.shutdown.end',
      'instance.delete.end',
    ]);
    assert.deepEqual(
      events('notifications').filter((event) => event !== 'compute.instance.update'),
      phases.map((event) => `compute.${event}`),
    );
    const stop = heard.find(
      ({ topic, said }) => topic === 'versioned_notifications.info' && said.event_type === 'instance.power_off.start',
    );
    const data = stop?.said.payload['nova_object.data'];
    assert.equal(data.uuid, id);
    assert.equal(data.task_state, 'powering-off');
    assert.equal(data.state, 'active');
    assert.match(data.request_id, /^req-/);
    assert.equal(stop?.said.publisher_id, `nova-compute:${data.host}`);
    assert.match(stop?.said.timestamp, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/);
    const flat = heard.filter(({ topic }) => topic === 'notifications.info').map(({ said }) => said);
    const flatStop = flat.find((said) => said.event_type === 'compute.instance.power_off.start');
    assert.deepEqual([flatStop.publisher_id, flatStop.payload.instance_id, flatStop.payload.state], [`compute.${data.host}`, id, 'active']);
    const flatUpdate = flat.find((said) => said.event_type === 'compute.instance.update')?.payload;
    assert.match(flatUpdate.audit_period_beginning, /^\d{4}-\d\d-01 00:00:00$/);
    const off = heard.find(({ said }) => said.event_type === 'instance.power_off.end')?.said.payload['nova_object.data'];
    assert.equal(off.state, 'stopped');
    assert.equal(off.task_state, null);
    const updates = heard
      .filter(({ said }) => said.event_type === 'instance.update')
      .map(({ said }) => said.payload['nova_object.data'].state_update['nova_object.data']);
    assert.ok(updates.some((one) => one.old_state === 'active' && one.state === 'stopped'));
  } finally {
    await house.close();
  }
});

test('a failure is told with its reason', async () => {
  const { house, heard, events } = await hearing();
  try {
    const [id = ''] = await house.create({ metadata: { 'fake:spawn': 'fail' } });
    assert.equal((await house.settled(id))?.vmState, 'error');
    await house.until(
      async () => events('versioned').includes('compute_task.build_instances.error'),
      (told) => told,
      5000,
    );
    const error = heard.find(({ topic, said }) => topic === 'versioned_notifications.error' && said.event_type === 'instance.create.error');
    const fault = error?.said.payload['nova_object.data'].fault['nova_object.data'];
    assert.match(fault.exception_message, /fake hypervisor was told to fail/);
    assert.equal(error?.said.priority, 'ERROR');
  } finally {
    await house.close();
  }
});

test('payloads have the form of the samples', { skip: noCatalogue }, async () => {
  const { compareShape } = await shapeCheck();
  const { house, heard, events } = await hearing();
  try {
    const [id = ''] = await house.create();
    await house.settled(id);
    for (const action of ['stop', 'start', 'reboot-soft'] as const) {
      await house.power(id, action);
      await house.settled(id);
    }
    await house.delete(id);
    await house.until(
      async () => events('versioned').includes('instance.delete.end'),
      (told) => told,
      5000,
    );
    const wrong: string[] = [];
    let compared = 0;
    for (const { topic, said } of heard) {
      if (!topic.startsWith('versioned')) continue;
      const [noun, action, phase] = (said.event_type as string).split('.');
      const sample = notificationSample(`${[noun, action, phase].filter((word) => word !== undefined).join('-')}.json`) as
        | { payload: object }
        | undefined;
      if (!sample) {
        wrong.push(`${said.event_type} has no sample`);
        continue;
      }
      const free = { freeKeyNames: ['metadata', 'extra_specs', 'meta'], nullable: NULLABLE };
      for (const { kind, pointer } of compareShape(sample.payload, said.payload, free))
        wrong.push(`${said.event_type}: ${kind} ${pointer}`);
      compared++;
    }
    assert.equal(
      heard.find(({ said }) => said.event_type === 'instance.delete.start')?.said.payload['nova_object.data'].task_state,
      'deleting',
    );
    assert.deepEqual([...new Set(wrong)], []);
    assert.ok(compared > 10, `only ${compared} were compared`);
  } finally {
    await house.close();
  }
});
