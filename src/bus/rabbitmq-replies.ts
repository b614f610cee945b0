import type { AsyncMessage, Connection, Consumer, Publisher } from 'rabbitmq-client';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

const BEAT_MS = 500;
const DEAF_MS = 1500;
const GONE_AFTER_MS = 60_000;

export interface Replies {
  /** The queue that answers shall go to; undefined while there is none. */
  queue(): string | undefined;
  close(): Promise<void>;
}

/** The queue on which one process hears its answers. A consumer can go deaf while its connection lives (the broker lost it, another took its place);
 *  so it sends itself a beat twice a second, and when none arrives for 1.5 s a new queue is made. `ready` is called for each one made. */
export function openReplies(options: {
  connection: Connection;
  publisher: Publisher;
  clock: Clock;
  log: Log;
  name: string;
  heard: (message: AsyncMessage) => void;
  ready: () => void;
}): Replies {
  const { connection, publisher, clock, log, name, heard, ready } = options;
  let turn = 0;
  let consumer: Consumer | undefined;
  let queue: string | undefined;
  let lastBeat = 0;
  let closed = false;

  const make = () => {
    queue = undefined;
    const mine = `${name}.${++turn}`;
    const made = connection.createConsumer(
      { queue: mine, noAck: true, queueOptions: { queue: mine, autoDelete: true, arguments: { 'x-expires': GONE_AFTER_MS } } },
      (message) => {
        if (message.type === 'beat') lastBeat = clock.now();
        else heard(message);
      },
    );
    consumer = made;
    made.on('ready', () => {
      if (consumer !== made) return;
      queue = mine;
      lastBeat = clock.now();
      ready();
    });
    made.on('error', (cause: unknown) => {
      if (consumer === made) queue = undefined; // it is set up again by itself
      log.debug({ err: cause, queue: mine }, 'the reply queue was lost');
    });
  };
  const beat = () => {
    if (closed) return;
    if (queue !== undefined && connection.ready) {
      if (clock.now() - lastBeat > DEAF_MS * 1000) {
        log.warn({ queue }, 'the reply queue is deaf and is made anew');
        const deaf = consumer;
        make();
        deaf?.close().catch(() => {});
      } else publisher.send({ routingKey: queue, type: 'beat' }, Buffer.alloc(0)).catch(() => {});
    }
    cancel = clock.after(BEAT_MS, beat);
  };
  make();
  let cancel = clock.after(BEAT_MS, beat);
  return {
    queue: () => queue,
    async close() {
      closed = true;
      cancel();
      await consumer?.close();
    },
  };
}
