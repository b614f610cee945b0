import type { AnySchema, Static } from './schema.ts';

/** What may be sent to one receiver: one file in `contracts/` for each. */
export interface Contract {
  /** Queue name: 'conductor', 'scheduler', 'compute-agent'. */
  readonly receiver: string;
  readonly messages: Readonly<Record<string, Message>>;
}
export type Message = AskMessage | TellMessage;
export interface AskMessage<I extends AnySchema = AnySchema, O extends AnySchema = AnySchema> {
  readonly kind: 'ask';
  readonly input: I;
  readonly output: O;
}
export interface TellMessage<I extends AnySchema = AnySchema> {
  readonly kind: 'tell';
  readonly input: I;
}
export const ask = <I extends AnySchema, O extends AnySchema>(input: I, output: O): AskMessage<I, O> => ({ kind: 'ask', input, output });
export const tell = <I extends AnySchema>(input: I): TellMessage<I> => ({ kind: 'tell', input });

export type Input<M> = M extends { readonly input: infer I extends AnySchema } ? Static<I> : never;
export type Output<M> = M extends { readonly output: infer O extends AnySchema } ? Static<O> : never;
type Asks<C extends Contract> = { [K in keyof C['messages']]: C['messages'][K] extends AskMessage ? K : never }[keyof C['messages']] &
  string;
type Tells<C extends Contract> = { [K in keyof C['messages']]: C['messages'][K] extends TellMessage ? K : never }[keyof C['messages']] &
  string;
/** One function for each message. An ask's answer or CloudError goes back to the asker; a tell that throws is delivered again later. */
export type Handlers<C extends Contract> = {
  readonly [K in keyof C['messages']]: (
    input: Input<C['messages'][K]>,
  ) => Promise<C['messages'][K] extends AskMessage ? Output<C['messages'][K]> : void>;
};

/** Carries messages between parts. It may lose, repeat and reorder, on every implementation: senders repeat until their own deadline,
 *  receivers are idempotent. Durability is the job table's alone. Contract suite: `test/contracts/bus.ts`. */
export interface Bus {
  /** Asks one receiver and waits for its answer. Throws its CloudError as it was, or busTimeout / busUnavailable.
   *  `host` picks the receiver of that host; without it any one of the receivers takes it. */
  ask<C extends Contract, K extends Asks<C>>(
    contract: C,
    message: K,
    input: Input<C['messages'][K]>,
    more?: { host?: string; timeoutMs?: number },
  ): Promise<Output<C['messages'][K]>>;
  /** Hands over a message; resolves when the bus has it, not when it is done. */
  tell<C extends Contract, K extends Tells<C>>(
    contract: C,
    message: K,
    input: Input<C['messages'][K]>,
    more?: { host?: string },
  ): Promise<void>;
  /** Wakes everybody who listens for this word: "look at the job table". Never carries news itself; may be lost. */
  ring(word: string): void;
  /** Receives a contract's messages, for one host's queue when `host` is given, with at most `concurrency` at once. */
  serve<C extends Contract>(contract: C, handlers: Handlers<C>, more?: { host?: string; concurrency?: number }): Promise<Stop>;
  /** Calls `heard` at each ring of the word. */
  onRing(word: string, heard: () => void): Promise<Stop>;
  /** Hands a notification to outside consumers (exchange and topic as Nova's); resolves when the carrier has it. Nobody listening is fine.
   *  Throws busUnavailable. */
  notify(topic: string, envelope: object): Promise<void>;
  /** Whether the carrier is there; a memory bus always is. */
  healthy(): boolean;
  close(): Promise<void>;
}
export type Stop = () => Promise<void>;

/** Unkindness on request, for tests on every implementation; each number is a chance between 0 and 1. */
export interface Unkindness {
  readonly lose?: number;
  readonly repeat?: number;
  readonly reorder?: number;
  readonly random: () => number;
}
