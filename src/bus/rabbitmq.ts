import { type AsyncMessage, Connection, type Consumer, ConsumerStatus, type Envelope } from 'rabbitmq-client';
import type { Clock } from '../lib/clock.ts';
import { newHexId, sha256 } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import { CloudError, rebuildError, type WireError, wireError } from '../model/errors.ts';
import { badMessage, busTimeout, busUnavailable } from '../model/errors-bus.ts';
import type { AskMessage, Bus, Contract, Stop, Unkindness } from './bus.ts';
import { mustFitContract } from './checked.ts';
import { openReceiver } from './rabbitmq-receiver.ts';
import { openReplies } from './rabbitmq-replies.ts';
import { rabbitmqUrl } from './rabbitmq-url.ts';

export interface RabbitmqOptions {
  /** transport_url, see `rabbitmqUrl`. */
  readonly url: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly unkind?: Unkindness;
  /** Begins the name of every queue and exchange of ours, so that several clouds can share a broker. */
  readonly exchangePrefix?: string;
  /** This process's word in the name of its reply queue. */
  readonly id?: string;
  /** How long a tell waits for an absent broker before busUnavailable. */
  readonly patienceMs?: number;
  /** How long after a handler's throw its message comes again. */
  readonly redeliverMs?: number;
  /** Where notifications go; Nova's control_exchange. */
  readonly notifyExchange?: string;
}
interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (cause: unknown) => void;
  readonly send: () => void;
  readonly cancel: () => void;
}

const TRIES = 6;
const QUEUE_LIFE_MS = 24 * 3600_000; // a queue nobody has consumed from for a day is a host that is gone
const ASK_AGAIN_MS = 200;

/** The bus over RabbitMQ. Tells are durable and confirmed, acknowledged when their handler is done. Asks are not durable: they wait in the receiver's
 *  queue at most as long as the asker does, and are sent again when the broker was lost meanwhile. A receiver that is not there yet is waited for, until
 *  the ask's deadline: busTimeout, or busUnavailable when it is the broker that is away. */
export function rabbitmqBus(options: RabbitmqOptions): Bus {
  const { clock, log, unkind, redeliverMs = 1000, patienceMs = 10_000, exchangePrefix = 'kilonova.' } = options;
  const connection = new Connection({
    ...rabbitmqUrl(options.url),
    noDelay: true, // without it an ask takes 44 ms
    heartbeat: 10,
    frameMax: 131_072,
    retryLow: 100,
    retryHigh: 2000,
    connectionTimeout: 3000,
    acquireTimeout: patienceMs,
    connectionName: `kilonova ${options.id ?? ''}`.trim(),
  });
  let closed = false;
  connection.on('error', (cause: unknown) => {
    if (!closed) log.warn({ err: cause }, 'the message bus was lost; it is tried again');
  });
  connection.on('connection.blocked', (reason) => log.warn({ reason }, 'the message bus takes no messages: its broker is short of room'));
  connection.on('connection', () => log.debug({}, 'the message bus is there'));

  const ringExchange = `${exchangePrefix}ring`;
  const sure = connection.createPublisher({ confirm: true });
  const quick = connection.createPublisher({ exchanges: [{ exchange: ringExchange, type: 'fanout' }] });
  const notifyExchange = options.notifyExchange ?? 'nova';
  const notifier = connection.createPublisher({ confirm: true, exchanges: [{ exchange: notifyExchange, type: 'topic' }] });
  const plainNotifier = connection.createPublisher({ confirm: true }); // for an exchange that somebody else has declared in another way

  const chance = (part: number | undefined) => part !== undefined && unkind !== undefined && unkind.random() < part;
  /** Sends once, or as unkindness has it: never, twice, or later. */
  const unkindly = async (send: () => Promise<void>): Promise<void> => {
    if (!unkind) return send();
    if (chance(unkind.lose)) return;
    const late = () => {
      clock.after(5, () => void send().catch(() => {}));
    };
    if (chance(unkind.repeat)) late();
    if (chance(unkind.reorder)) return late();
    return send();
  };

  const queueName = (contract: Contract, host?: string) => {
    const name = `${exchangePrefix}${contract.receiver}${host === undefined ? '' : `.${host}`}`;
    return Buffer.byteLength(name) <= 200 ? name : `${name.slice(0, 60)}.${sha256(name)}`; // AMQP takes 255 bytes
  };
  const queueArguments = { 'x-expires': QUEUE_LIFE_MS };

  // The broker returns a message for a missing queue before it confirms it.
  const returned = new Set<string>();
  sure.on('basic.return', (message) => message.messageId !== undefined && returned.add(message.messageId));
  const own = options.id ?? newHexId();
  let count = 0;
  const surely = async (queue: string, envelope: Envelope, body: Buffer, declare: () => Promise<unknown>): Promise<void> => {
    const until = clock.now() + patienceMs * 1000;
    const messageId = `${own}.${++count}`;
    let why: unknown;
    for (let attempt = 0; !closed; attempt++) {
      const left = (until - clock.now()) / 1000;
      if (left <= 0) break;
      try {
        const sent = sure.send({ ...envelope, routingKey: queue, mandatory: true, durable: true, messageId, ...JSON_BODY }, body);
        await within(clock, left, sent);
        await new Promise((resolve) => setImmediate(resolve)); // the client tells of returned messages a turn after their confirm
        if (!returned.delete(messageId)) return;
        await within(clock, left, declare());
        continue;
      } catch (cause) {
        why = cause;
      }
      await clock.sleep(Math.min(20 * 2 ** attempt, 500));
    }
    throw busUnavailable({ why: 'broker' }, { cause: why, detail: `could not hand over to ${queue}` });
  };
  const declareQueue = (queue: string) => connection.queueDeclare({ queue, durable: true, arguments: queueArguments });
  /** A queue whose messages fall into `queue` after a while: redelivery without holding anything up. */
  const later = (queue: string, envelope: Envelope, body: Buffer) => {
    const waiting = `${queue}.later.${redeliverMs}`;
    const falling = {
      'x-message-ttl': redeliverMs,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': queue,
      'x-expires': QUEUE_LIFE_MS,
    };
    return surely(waiting, envelope, body, () => connection.queueDeclare({ queue: waiting, durable: true, arguments: falling }));
  };

  const pending = new Map<string, Pending>();
  const replies = openReplies({
    connection,
    publisher: quick,
    clock,
    log,
    name: `${exchangePrefix}reply.${own}`,
    ready() {
      for (const each of pending.values()) each.send(); // what was asked of a broker that is no more
    },
    heard(message) {
      const asked = pending.get(message.correlationId ?? '');
      if (!asked) return;
      pending.delete(message.correlationId ?? '');
      asked.cancel();
      const answer = parsed(message) as { answer?: unknown; error?: WireError } | undefined; // our own form, see reply()
      if (answer?.error) asked.reject(rebuildError(answer.error));
      else asked.resolve(answer?.answer ?? null);
    },
  });
  quick.on('basic.return', (message) => {
    const asked = pending.get(message.correlationId ?? '');
    if (asked) clock.after(ASK_AGAIN_MS, () => pending.get(message.correlationId ?? '') === asked && asked.send()); // its receiver may yet come
  });
  const reply = (message: AsyncMessage, outcome: { answer: unknown } | { error: WireError }) =>
    unkindly(() =>
      quick.send(
        { routingKey: message.replyTo ?? '', correlationId: message.correlationId ?? '', type: 'answer', ...JSON_BODY },
        Buffer.from(JSON.stringify(outcome)),
      ),
    );

  const listeners = new Map<string, Set<() => void>>();
  let ears: Consumer | undefined;
  const hear = (word: string) => {
    for (const heard of listeners.get(word) ?? []) setImmediate(heard);
  };
  const listen = () => {
    if (ears) return;
    ears = connection.createConsumer(
      {
        queue: '',
        noAck: true,
        queueOptions: { exclusive: true, autoDelete: true },
        exchanges: [{ exchange: ringExchange, type: 'fanout' }],
        queueBindings: [{ exchange: ringExchange }],
      },
      (message) => {
        if (message.appId !== own && message.type) hear(message.type);
      },
    );
    // Rings of the time without a broker are lost: everybody looks once.
    ears.on('ready', () => {
      for (const word of listeners.keys()) hear(word);
    });
    ears.on('error', (cause: unknown) => log.debug({ err: cause }, 'the ring queue was lost and is made again'));
  };
  const stops = new Set<Stop>();

  return {
    ask(contract, message, input, more = {}) {
      const definition = contract.messages[message] as AskMessage; // Asks<C> holds only these
      return new Promise((resolve, reject) => {
        if (closed) throw busUnavailable({ why: 'closed' });
        mustFitContract(definition.input, input, contract.receiver, message);
        const body = Buffer.from(JSON.stringify(input));
        const queue = queueName(contract, more.host);
        const correlationId = `${own}.${++count}`;
        const timeoutMs = more.timeoutMs ?? 30_000;
        const until = clock.now() + timeoutMs * 1000;
        const cancel = clock.after(timeoutMs, () => {
          pending.delete(correlationId);
          reject(connection.ready ? busTimeout({ receiver: contract.receiver, message }) : busUnavailable({ why: 'broker' }));
        });
        const once = async () => {
          const replyTo = replies.queue();
          const left = Math.floor((until - clock.now()) / 1000);
          if (replyTo === undefined || left <= 0) return; // sent when the reply queue is there
          const envelope = { routingKey: queue, mandatory: true, correlationId, replyTo, type: message, expiration: String(left) };
          await quick.send({ ...envelope, ...JSON_BODY }, body);
        };
        const send = () =>
          void unkindly(once).catch((cause: unknown) =>
            log.debug({ err: cause }, 'an ask could not be sent; it is when the broker is back'),
          );
        pending.set(correlationId, {
          resolve: (answer) => {
            try {
              mustFitContract(definition.output, answer, contract.receiver, message);
              resolve(answer as never); // just held against the contract
            } catch (cause) {
              reject(cause);
            }
          },
          reject,
          send,
          cancel,
        });
        send();
      });
    },
    async tell(contract, message, input, more = {}) {
      mustFitContract(contract.messages[message]!.input, input, contract.receiver, message);
      const body = Buffer.from(JSON.stringify(input));
      const queue = queueName(contract, more.host);
      await unkindly(() => surely(queue, { type: message }, body, () => declareQueue(queue)));
    },
    ring(word) {
      if (closed || chance(unkind?.lose)) return;
      hear(word);
      if (connection.ready) quick.send({ exchange: ringExchange, type: word, appId: own }, Buffer.alloc(0)).catch(() => {});
    },
    async serve(contract, handlers, more = {}): Promise<Stop> {
      const queue = queueName(contract, more.host);
      const take = async (message: AsyncMessage): Promise<ConsumerStatus> => {
        const name = message.type ?? '';
        const definition = Object.hasOwn(contract.messages, name) ? contract.messages[name] : undefined;
        const isAsk = message.replyTo !== undefined;
        const attempt = Number(message.headers?.attempt ?? 1);
        try {
          if (!definition) throw badMessage({ receiver: contract.receiver, message: name, why: 'there is no such message' });
          const input = parsed(message);
          mustFitContract(definition.input, input, contract.receiver, name);
          const output = await (handlers[name] as (input: unknown) => Promise<unknown>)(input); // typed by Handlers<C>, keyed by a string here
          if (definition.kind === 'ask') mustFitContract(definition.output, output, contract.receiver, name);
          if (isAsk) await reply(message, { answer: output ?? null });
        } catch (cause) {
          const where = { receiver: contract.receiver, message: name, attempt, err: cause };
          if (isAsk) await reply(message, { error: wireError(cause) });
          else if (cause instanceof CloudError && cause.code === 'bus.bad_message')
            log.error(where, 'a message does not fit and is dropped');
          else if (attempt >= TRIES) log.error(where, 'a message failed too often and is dropped');
          else {
            log.warn(where, 'a message failed and is delivered again');
            await later(queue, { type: name, headers: { attempt: attempt + 1 } }, Buffer.from(message.body));
          }
        }
        return ConsumerStatus.ACK;
      };
      const receiver = openReceiver({ connection, clock, log, queue, queueArguments, concurrency: more.concurrency ?? 64, take });
      const stop = async () => {
        stops.delete(stop);
        await receiver.close();
      };
      stops.add(stop);
      // A broker that is away does not keep a part from starting; it is served as soon as it comes.
      await atMost(clock, patienceMs, receiver.ready);
      return stop;
    },
    async onRing(word, heard): Promise<Stop> {
      const set = listeners.get(word) ?? new Set();
      listeners.set(word, set);
      set.add(heard);
      if (!ears) {
        listen();
        await atMost(clock, patienceMs, new Promise((resolve) => ears?.once('ready', () => resolve(undefined))));
      }
      return async () => {
        set.delete(heard);
      };
    },
    async notify(topic, envelope) {
      const wrapped = 'oslo.message' in envelope ? envelope : { 'oslo.version': '2.0', 'oslo.message': JSON.stringify(envelope) };
      const body = Buffer.from(JSON.stringify(wrapped));
      const to = { exchange: notifyExchange, routingKey: topic, durable: true, ...JSON_BODY };
      // Queues are the listeners' business: one that we made would fill for ever where nobody listens.
      try {
        await notifier.send(to, body).catch(() => plainNotifier.send(to, body));
      } catch (cause) {
        throw busUnavailable({ why: 'a notification could not be handed over' }, { cause });
      }
    },
    healthy: () => !closed && connection.ready,
    async close() {
      if (closed) return;
      closed = true;
      for (const each of pending.values()) {
        each.cancel();
        each.reject(busUnavailable({ why: 'closed' }));
      }
      pending.clear();
      const orderly = async () => {
        await Promise.allSettled([...[...stops].map((stop) => stop()), replies.close(), ears?.close()]);
        await Promise.allSettled([sure.close(), quick.close(), notifier.close(), plainNotifier.close()]);
        await connection.close().catch(() => undefined); // one that broke this very moment is closed too
      };
      if (connection.ready) await atMost(clock, 2000, orderly()); // a handler that never ends is not waited for
      connection.unsafeDestroy();
    },
  };
}

/** Said with its encoding, a body is left to us by the client, which would take apart texts that are JSON from those that are not only by guessing. */
const JSON_BODY = { contentType: 'application/json', contentEncoding: 'utf-8' } as const;

/** The message's JSON; undefined when it is none. */
function parsed(message: AsyncMessage): unknown {
  try {
    return JSON.parse(String(message.body));
  } catch {
    return undefined;
  }
}

/** Waits for `work`, at most so long; says nothing about which came first. */
async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  await Promise.race([work.catch(() => {}), clock.sleep(ms, done.signal)]);
  done.abort();
}

async function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T> {
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(ms, () => reject(new Error(`the broker did not answer in ${Math.round(ms)} ms`)));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
