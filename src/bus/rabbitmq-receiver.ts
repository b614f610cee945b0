import { type AsyncMessage, type Connection, type Consumer, ConsumerStatus } from 'rabbitmq-client';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

const LOOK_MS = 600;

/** A consumer of one durable queue that notices when it is deaf: the queue holds ready messages, it has hands free, and twice in a row nothing came. */
export function openReceiver(options: {
  connection: Connection;
  clock: Clock;
  log: Log;
  queue: string;
  queueArguments: Record<string, unknown>;
  concurrency: number;
  take: (message: AsyncMessage) => Promise<ConsumerStatus>;
}): { ready: Promise<void>; close: () => Promise<void> } {
  const { connection, clock, log, queue, queueArguments, concurrency, take } = options;
  let consumer: Consumer | undefined;
  let received = 0;
  let receivedBefore = -1;
  let busy = 0;
  let closed = false;
  let isReady = () => {};
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const make = () => {
    const made = connection.createConsumer(
      { queue, concurrency, qos: { prefetchCount: concurrency }, queueOptions: { queue, durable: true, arguments: queueArguments } },
      async (message) => {
        received++;
        busy++;
        try {
          return await take(message);
        } catch (cause) {
          log.error({ err: cause, queue }, 'a message could not be settled and is given back');
          return ConsumerStatus.REQUEUE;
        } finally {
          busy--;
        }
      },
    );
    consumer = made;
    made.on('ready', isReady);
    made.on('error', (cause: unknown) => log.debug({ err: cause, queue }, 'the consumer was lost and is made again'));
  };
  let suspicious = 0;
  const look = async () => {
    if (closed) return;
    try {
      if (connection.ready) {
        const { messageCount } = await connection.queueDeclare({ queue, passive: true });
        const idle = messageCount > 0 && busy < concurrency && received === receivedBefore;
        suspicious = idle ? suspicious + 1 : 0;
        receivedBefore = received;
        if (suspicious >= 2) {
          log.warn({ queue, messageCount }, 'the consumer is deaf and is made anew');
          suspicious = 0;
          const deaf = consumer;
          make();
          deaf?.close().catch(() => {});
        }
      }
    } catch {
      suspicious = 0; // the queue is being made, or the broker went: the consumer sees to it
    }
    if (!closed) cancel = clock.after(LOOK_MS, () => void look());
  };
  make();
  let cancel = clock.after(LOOK_MS, () => void look());
  return {
    ready,
    async close() {
      closed = true;
      cancel();
      await consumer?.close();
    },
  };
}
