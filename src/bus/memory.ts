import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { CloudError, rebuildError, wireError } from '../model/errors.ts';
import { badMessage, busTimeout, busUnavailable } from '../model/errors-bus.ts';
import type { AskMessage, Bus, Contract, Stop, Unkindness } from './bus.ts';
import { mustFitContract } from './checked.ts';

interface Receiver {
  readonly take: (message: string, wire: string) => Promise<unknown>;
  readonly concurrency: number;
  busy: number;
  readonly waiting: (() => void)[];
}
type Letter = (receiver: Receiver) => void;

const TRIES = 6;
const KEPT = 10_000;

/** The bus inside one process. Every message goes through JSON, so that nothing works only here; a queue nobody serves yet keeps its messages until
 *  somebody does. `notified` hears notifications, which otherwise have no listener. */
export function memoryBus(options: {
  clock: Clock;
  log: Log;
  unkind?: Unkindness;
  /** How long after a handler's throw its message comes again. */
  redeliverMs?: number;
  notified?: (topic: string, envelope: object) => void;
}): Bus {
  const { clock, log, unkind, redeliverMs = 1000, notified } = options;
  const receivers = new Map<string, Receiver[]>();
  const turns = new Map<string, number>();
  const listeners = new Map<string, Set<() => void>>();
  const kept = new Map<string, Letter[]>();
  const asking = new Set<(cause: unknown) => void>();
  let closed = false;
  const queueName = (contract: Contract, host?: string) => (host === undefined ? contract.receiver : `${contract.receiver}.${host}`);
  const chance = (part: number | undefined) => part !== undefined && unkind !== undefined && unkind.random() < part;

  const hand = (queue: string, letter: Letter) => {
    if (closed) return;
    const able = receivers.get(queue);
    if (able?.length) {
      const turn = (turns.get(queue) ?? 0) + 1;
      turns.set(queue, turn);
      return letter(able[turn % able.length]!);
    }
    const list = kept.get(queue) ?? [];
    kept.set(queue, list);
    if (list.length < KEPT) list.push(letter);
    else log.warn({ queue }, 'a message is dropped: nobody serves its queue, which is full');
  };
  const deliver = (queue: string, letter: Letter) => {
    if (chance(unkind?.lose)) return;
    const go = () => {
      if (chance(unkind?.reorder)) clock.after(5, () => hand(queue, letter));
      else setImmediate(hand, queue, letter);
    };
    go();
    if (chance(unkind?.repeat)) go();
  };
  const work = async (receiver: Receiver, message: string, wire: string): Promise<unknown> => {
    if (receiver.busy >= receiver.concurrency)
      await new Promise<void>((resolve) => receiver.waiting.push(resolve)); // comes with the place of the one that ended
    else receiver.busy++;
    try {
      return await receiver.take(message, wire);
    } finally {
      const next = receiver.waiting.shift();
      if (next) next();
      else receiver.busy--;
    }
  };

  return {
    ask(contract, message, input, more = {}) {
      const definition = contract.messages[message] as AskMessage; // Asks<C> holds only these
      return new Promise((resolve, reject) => {
        if (closed) throw busUnavailable({ why: 'closed' });
        mustFitContract(definition.input, input, contract.receiver, message);
        const wire = JSON.stringify(input);
        const end = () => {
          cancel();
          asking.delete(reject);
        };
        const cancel = clock.after(more.timeoutMs ?? 30_000, () => {
          asking.delete(reject);
          reject(busTimeout({ receiver: contract.receiver, message }));
        });
        asking.add(reject);
        deliver(queueName(contract, more.host), (receiver) => {
          if (!asking.has(reject)) return; // too late, or answered already
          work(receiver, message, wire).then(
            (output) => {
              if (chance(unkind?.lose)) return;
              end();
              resolve(JSON.parse(JSON.stringify(output ?? null)));
            },
            (cause) => {
              if (chance(unkind?.lose)) return;
              end();
              reject(rebuildError(JSON.parse(JSON.stringify(wireError(cause)))));
            },
          );
        });
      });
    },
    async tell(contract, message, input, more = {}) {
      mustFitContract(contract.messages[message]!.input, input, contract.receiver, message);
      if (closed) throw busUnavailable({ why: 'closed' });
      const wire = JSON.stringify(input);
      const queue = queueName(contract, more.host);
      const letter =
        (attempt: number): Letter =>
        (receiver) => {
          work(receiver, message, wire).catch((cause) => {
            const where = { receiver: contract.receiver, message, attempt, err: cause };
            if (cause instanceof CloudError && cause.code === 'bus.bad_message') log.error(where, 'a message does not fit and is dropped');
            else if (attempt >= TRIES) log.error(where, 'a message failed too often and is dropped');
            else {
              log.warn(where, 'a message failed and is delivered again');
              clock.after(redeliverMs, () => hand(queue, letter(attempt + 1)));
            }
          });
        };
      deliver(queue, letter(1));
    },
    ring(word) {
      if (closed || chance(unkind?.lose)) return;
      for (const heard of listeners.get(word) ?? []) setImmediate(heard);
    },
    async serve(contract, handlers, more = {}): Promise<Stop> {
      const queue = queueName(contract, more.host);
      const receiver: Receiver = {
        concurrency: more.concurrency ?? 64,
        busy: 0,
        waiting: [],
        async take(message, wire) {
          const definition = Object.hasOwn(contract.messages, message) ? contract.messages[message] : undefined;
          if (!definition) throw badMessage({ receiver: contract.receiver, message, why: 'there is no such message' });
          const input: unknown = JSON.parse(wire);
          mustFitContract(definition.input, input, contract.receiver, message);
          const output = await (handlers[message] as (input: unknown) => Promise<unknown>)(input); // typed by Handlers<C>, keyed by a string here
          if (definition.kind === 'ask') mustFitContract(definition.output, output, contract.receiver, message);
          return output;
        },
      };
      receivers.set(queue, [...(receivers.get(queue) ?? []), receiver]);
      const waiting = kept.get(queue) ?? [];
      kept.delete(queue);
      for (const letter of waiting) setImmediate(hand, queue, letter);
      return async () => {
        receivers.set(
          queue,
          (receivers.get(queue) ?? []).filter((other) => other !== receiver),
        );
      };
    },
    async onRing(word, heard): Promise<Stop> {
      const set = listeners.get(word) ?? new Set();
      listeners.set(word, set);
      set.add(heard);
      return async () => {
        set.delete(heard);
      };
    },
    async notify(topic, envelope) {
      if (!closed && notified) setImmediate(notified, topic, JSON.parse(JSON.stringify(envelope)));
    },
    healthy: () => !closed,
    async close() {
      closed = true;
      for (const reject of asking) reject(busUnavailable({ why: 'closed' }));
      asking.clear();
      receivers.clear();
      listeners.clear();
      kept.clear();
    },
  };
}
