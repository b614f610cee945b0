import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { rebuildError, wireError } from '../model/errors.ts';
import { busTimeout } from '../model/errors-bus.ts';
import type { AskMessage, Bus, Contract, Stop, Unkindness } from './bus.ts';
import { mustFitContract } from './checked.ts';

interface Receiver {
  readonly contract: Contract;
  readonly take: (message: string, wire: string) => Promise<unknown>;
  readonly concurrency: number;
  busy: number;
  readonly waiting: (() => void)[];
}

/** The bus inside one process. Every message goes through JSON, so that nothing works only here; a queue nobody serves yet keeps its messages for a while. */
export function memoryBus(options: { clock: Clock; log: Log; unkind?: Unkindness }): Bus {
  const { clock, log, unkind } = options;
  const receivers = new Map<string, Receiver[]>();
  const turns = new Map<string, number>();
  const listeners = new Map<string, Set<() => void>>();
  const kept = new Map<string, (() => void)[]>();
  let closed = false;
  const queueName = (contract: Contract, host?: string) => (host === undefined ? contract.receiver : `${contract.receiver}.${host}`);
  const chance = (part: number | undefined) => part !== undefined && unkind !== undefined && unkind.random() < part;

  const pick = (queue: string): Receiver | undefined => {
    const able = receivers.get(queue);
    if (!able?.length) return undefined;
    const turn = (turns.get(queue) ?? 0) + 1;
    turns.set(queue, turn);
    return able[turn % able.length];
  };
  const deliver = (queue: string, run: (receiver: Receiver) => void) => {
    if (closed || chance(unkind?.lose)) return;
    const once = () => {
      const receiver = pick(queue);
      if (receiver) return run(receiver);
      const list = kept.get(queue) ?? [];
      if (list.length < 10_000) list.push(once);
      kept.set(queue, list);
    };
    const go = () => (chance(unkind?.reorder) ? clock.after(5, once) : setImmediate(once));
    go();
    if (chance(unkind?.repeat)) go();
  };
  const work = async (receiver: Receiver, message: string, wire: string): Promise<unknown> => {
    if (receiver.busy >= receiver.concurrency) await new Promise<void>((resolve) => receiver.waiting.push(resolve));
    receiver.busy++;
    try {
      return await receiver.take(message, wire);
    } finally {
      receiver.busy--;
      receiver.waiting.shift()?.();
    }
  };

  return {
    ask: (contract, message, input, more = {}) => {
      const definition = contract.messages[message] as AskMessage; // Asks<C> holds only these
      mustFitContract(definition.input, input, contract.receiver, message);
      const wire = JSON.stringify(input);
      return new Promise((resolve, reject) => {
        const cancel = clock.after(more.timeoutMs ?? 30_000, () => reject(busTimeout({ receiver: contract.receiver, message })));
        deliver(queueName(contract, more.host), (receiver) => {
          work(receiver, message, wire).then(
            (output) => {
              if (chance(unkind?.lose)) return;
              cancel();
              resolve(JSON.parse(JSON.stringify(output ?? null)));
            },
            (cause) => {
              cancel();
              reject(rebuildError(JSON.parse(JSON.stringify(wireError(cause)))));
            },
          );
        });
      });
    },
    async tell(contract, message, input, more = {}) {
      mustFitContract(contract.messages[message]!.input, input, contract.receiver, message);
      const wire = JSON.stringify(input);
      const attempt = (left: number) =>
        deliver(queueName(contract, more.host), (receiver) => {
          work(receiver, message, wire).catch((cause) => {
            log.warn({ receiver: contract.receiver, message, err: cause }, 'a message failed and is delivered again');
            if (left > 0) clock.after(1000, () => attempt(left - 1));
          });
        });
      attempt(5);
    },
    ring(word) {
      if (closed || chance(unkind?.lose)) return;
      for (const heard of listeners.get(word) ?? []) setImmediate(heard);
    },
    async serve(contract, handlers, more = {}): Promise<Stop> {
      const queue = queueName(contract, more.host);
      const receiver: Receiver = {
        contract,
        concurrency: more.concurrency ?? 64,
        busy: 0,
        waiting: [],
        async take(message, wire) {
          const definition = contract.messages[message]!;
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
      for (const once of waiting) setImmediate(once);
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
    notify() {},
    healthy: () => true,
    async close() {
      closed = true;
      receivers.clear();
      listeners.clear();
      kept.clear();
    },
  };
}
