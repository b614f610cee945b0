import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Connection, type Consumer, ConsumerStatus } from 'rabbitmq-client';
import { busContract, clerk, collector, isCode, type MakeBus, range, until } from '../../test/contracts/bus.ts';
import { requires } from '../../test/requires.ts';
import type { PrivateServer } from '../../test/servers/private-server.ts';
import { startRabbitmq } from '../../test/servers/rabbitmq.ts';
import { systemClock } from '../lib/clock.ts';
import { type Log, silentLog } from '../lib/log.ts';
import type { Bus } from './bus.ts';
import { openBus } from './open.ts';
import { rabbitmqBus } from './rabbitmq.ts';
import { openReceiver } from './rabbitmq-receiver.ts';
import { rabbitmqUrl } from './rabbitmq-url.ts';

const skip = requires('rabbitmq');
let server: PrivateServer;
before(async () => {
  if (!skip) server = await startRabbitmq();
});
after(() => server?.stop());
const common = () => ({ url: server.url, clock: systemClock, log: silentLog });
const make: MakeBus = (cloud, more = {}) => rabbitmqBus({ ...common(), exchangePrefix: `kilonova.${cloud}.`, ...more });
const refuse = async (): Promise<never> => {
  throw new Error('not for here');
};

busContract('rabbitmq', skip, async () => ({ make, shared: true, stop: async () => {} }));

async function withEnds(cloud: string, run: (a: Bus, b: Bus) => Promise<void>): Promise<void> {
  const [a, b] = [make(cloud, { redeliverMs: 50 }), make(cloud, { redeliverMs: 50 })];
  try {
    await run(a, b);
  } finally {
    await Promise.all([a.close(), b.close()]);
  }
}

test('rabbitmq: a broker killed and restarted in the middle of 500 tells, repeated until acknowledged, loses none', { skip }, () =>
  withEnds('killed', async (a, b) => {
    const got = collector(500);
    await b.serve(clerk, { add: async (in_) => ({ sum: in_.a }), fail: refuse, note: got.take });
    let told = 0;
    let back: Promise<void> | undefined;
    const teller = async (ids: number[]) => {
      for (const id of ids) {
        for (;;) {
          const accepted = await a.tell(clerk, 'note', { id, text: '' }).then(
            () => true,
            (cause) => {
              assert.ok(isCode('bus.unavailable')(cause), String(cause));
              return false;
            },
          );
          if (accepted) break;
        }
        if (++told === 200) back = server.kill().then(() => server.restart());
      }
    };
    await Promise.all(range(5).map((n) => teller(range(100).map((each) => each * 5 + n))));
    assert.ok(back);
    await back;
    await got.all; // durable and confirmed: what was told before the kill is there too
    assert.deepEqual(got.ids(), range(500));
    assert.deepEqual(await a.ask(clerk, 'add', { a: 3, b: 0 }), { sum: 3 });
  }),
);

test('rabbitmq: an ask asked while the broker is away is answered when it is back', { skip }, () =>
  withEnds('away', async (a, b) => {
    await b.serve(clerk, { add: async (in_) => ({ sum: in_.a }), fail: refuse, note: refuse });
    assert.deepEqual(await a.ask(clerk, 'add', { a: 1, b: 0 }), { sum: 1 });
    await server.kill();
    await until(() => !a.healthy());
    await assert.rejects(a.ask(clerk, 'add', { a: 1, b: 0 }, { timeoutMs: 100 }), isCode('bus.unavailable'));
    a.ring('jobs');
    // Handed over when the broker is back, or refused: never silently lost.
    const told = a.notify('versioned_notifications.info', {}).then(() => 'told', isCode('bus.unavailable'));
    const waiting = a.ask(clerk, 'add', { a: 2, b: 0 });
    await server.restart();
    assert.deepEqual(await waiting, { sum: 2 });
    await until(() => a.healthy() && b.healthy());
    assert.ok(await told);
  }),
);

test('rabbitmq: a bus opened while the broker is away works when it comes', { skip }, async () => {
  await server.kill();
  const a = await openBus({ ...common(), exchangePrefix: 'kilonova.early.' });
  try {
    assert.equal(a.healthy(), false);
    const serving = a.serve(clerk, { add: async (in_) => ({ sum: in_.a }), fail: refuse, note: refuse });
    const asked = a.ask(clerk, 'add', { a: 4, b: 0 });
    await server.restart();
    await serving;
    assert.deepEqual(await asked, { sum: 4 });
  } finally {
    await a.close();
  }
});

/** Takes every message of a queue away from its consumer, which hears nothing of it: what deafness looks like from inside. */
async function thief(queue: string, durable: boolean, queueArguments: Record<string, unknown>) {
  const connection = new Connection({ ...rabbitmqUrl(server.url), noDelay: true });
  connection.on('error', () => {});
  const stolen: unknown[] = [];
  const consumer = connection.createConsumer(
    {
      queue,
      noAck: true,
      arguments: { 'x-priority': 10 },
      queueOptions: { queue, durable, ...(durable ? {} : { autoDelete: true }), arguments: queueArguments },
    },
    (message) => {
      stolen.push(message.type);
    },
  );
  consumer.on('error', () => {});
  await new Promise((resolve) => consumer.once('ready', () => resolve(undefined)));
  return {
    stolen,
    async close() {
      await consumer.close();
      await connection.close();
    },
  };
}

test('rabbitmq: a deaf reply queue is found in less than two seconds and made anew', { skip }, async () => {
  const warned: string[] = [];
  const log: Log = { ...silentLog, warn: (_fields, text) => warned.push(text) };
  const a = rabbitmqBus({ ...common(), log, exchangePrefix: 'kilonova.deaf.', id: 'asker' });
  const b = rabbitmqBus({ ...common(), exchangePrefix: 'kilonova.deaf.' });
  await b.serve(clerk, { add: async (in_) => ({ sum: in_.a }), fail: refuse, note: refuse });
  assert.deepEqual(await a.ask(clerk, 'add', { a: 1, b: 0 }), { sum: 1 });
  const taker = await thief('kilonova.deaf.reply.asker.1', false, { 'x-expires': 60_000 });
  try {
    const start = performance.now();
    assert.deepEqual(await a.ask(clerk, 'add', { a: 2, b: 0 }), { sum: 2 }); // asked again through the new queue
    const took = performance.now() - start;
    assert.ok(taker.stolen.includes('answer') && taker.stolen.includes('beat'), 'nothing was stolen');
    assert.ok(took < 2300, `found after ${took} ms`); // 2 s, and the making
    assert.ok(warned.some((text) => text.includes('deaf')));
  } finally {
    await taker.close();
    await Promise.all([a.close(), b.close()]);
  }
});

test('rabbitmq: a deaf receiver is found in less than two seconds and made anew', { skip }, async () => {
  const connection = new Connection({ ...rabbitmqUrl(server.url), noDelay: true });
  connection.on('error', () => {});
  const made: Consumer[] = [];
  const create = connection.createConsumer.bind(connection);
  connection.createConsumer = (props, take) => {
    const consumer = create(props, take);
    made.push(consumer);
    return consumer;
  };
  const heard: unknown[] = [];
  const take = async (message: { messageId?: string }) => {
    heard.push(message.messageId);
    return ConsumerStatus.ACK;
  };
  const queue = 'kilonova.deaf-receiver';
  const receiver = openReceiver({ connection, clock: systemClock, log: silentLog, queue, queueArguments: {}, concurrency: 4, take });
  const publisher = connection.createPublisher({ confirm: true });
  try {
    await receiver.ready;
    // The broker forgets the consumer; its own end, with connection and channel alive, is not told.
    const inner = made[0] as unknown as { _ch: { basicCancel(params: { consumerTag: string }): Promise<unknown> }; consumerTag: string }; // the client keeps its channel to itself
    await inner._ch.basicCancel({ consumerTag: inner.consumerTag });
    const start = performance.now();
    await publisher.send({ routingKey: queue, messageId: 'after' }, Buffer.alloc(0));
    await until(() => heard.length === 1);
    assert.ok(performance.now() - start < 2300);
    assert.equal(made.length, 2);
  } finally {
    await publisher.close();
    await receiver.close();
    connection.unsafeDestroy();
  }
});

test('rabbitmq: notifications arrive as consumers of oslo.messaging expect them', { skip }, async () => {
  const a = make('notify');
  const connection = new Connection(rabbitmqUrl(server.url));
  connection.on('error', () => {});
  const heard: { body: unknown; routingKey: string }[] = [];
  const consumer = connection.createConsumer(
    {
      queue: 'versioned_notifications.info',
      noAck: true,
      exchanges: [{ exchange: 'nova', type: 'topic', durable: false }],
      queueBindings: [{ exchange: 'nova', routingKey: 'versioned_notifications.info' }],
    },
    (message) => {
      heard.push({ body: JSON.parse(String(message.body)), routingKey: message.routingKey });
    },
  );
  consumer.on('error', () => {});
  await new Promise((resolve) => consumer.once('ready', () => resolve(undefined)));
  try {
    const inner = { event_type: 'instance.create.end', priority: 'INFO', payload: { uuid: 'u' } };
    await a.notify('versioned_notifications.info', inner);
    await a.notify('versioned_notifications.error', inner); // nobody listens
    await until(() => heard.length > 0);
    assert.deepEqual(heard, [
      { routingKey: 'versioned_notifications.info', body: { 'oslo.version': '2.0', 'oslo.message': JSON.stringify(inner) } },
    ]);
  } finally {
    await consumer.close();
    await connection.close();
    await a.close();
  }
});

test('a transport_url is read as oslo.messaging reads it', () => {
  assert.deepEqual(rabbitmqUrl('rabbit://u:p%40ss@one:5673,u:p@two/cloud'), {
    hosts: ['one:5673', 'two:5672'],
    username: 'u',
    password: 'p@ss',
    vhost: 'cloud',
  });
  assert.deepEqual(rabbitmqUrl('rabbit://host'), { hosts: ['host:5672'], username: 'guest', password: 'guest', vhost: '/' });
  assert.deepEqual(rabbitmqUrl('rabbit://host/%2Fx?ssl=1'), {
    hosts: ['host:5671'],
    username: 'guest',
    password: 'guest',
    vhost: '/x',
    tls: true,
  });
  assert.throws(() => rabbitmqUrl('http://host'), /transport_url/);
});
