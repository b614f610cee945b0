import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask, type Bus, tell, type Unkindness } from '../../src/bus/bus.ts';
import { Type } from '../../src/bus/schema.ts';
import { CloudError, row } from '../../src/model/errors.ts';

const text = Type.String();
/** A receiver as any other, for these tests. */
export const clerk = {
  receiver: 'clerk',
  messages: {
    add: ask(Type.Object({ a: Type.Number(), b: Type.Number() }), Type.Object({ sum: Type.Number() })),
    fail: ask(Type.Object({ how: text }), Type.Object({})),
    note: tell(Type.Object({ id: Type.Integer(), text })),
  },
} as const;
const otherClerk = { receiver: 'clerk', messages: { note: tell(Type.Object({ id: text })), gone: tell(Type.Object({})) } } as const;
const noSuchPaper = row<{ id: string }>('paper.not_found', 'notFound', (p) => `Paper ${p.id} could not be found.`);
const refuse = async (): Promise<never> => {
  throw new Error('not for here');
};

/** Makes one process's end of a bus. Ends made with the same `cloud` hear each other; nobody else does. */
export type MakeBus = (cloud: string, more?: { unkind?: Unkindness; redeliverMs?: number }) => Bus;

/** What every bus must do alike; see `Bus`. `shared`: whether ends of two processes can be made. */
export function busContract(
  name: string,
  skip: string | false,
  start: () => Promise<{ make: MakeBus; shared: boolean; stop: () => Promise<void> }>,
): void {
  let make: MakeBus;
  let shared = false;
  let stop = async () => {};
  before(async () => {
    if (!skip) ({ make, shared, stop } = await start());
  });
  after(() => stop());
  let clouds = 0;
  /** Two ends: the sender's and the receiver's; one and the same on a bus of one process. */
  const check = (what: string, run: (ends: { a: Bus; b: Bus; more: () => Bus }) => Promise<void>, more: Parameters<MakeBus>[1] = {}) =>
    test(`${name}: ${what}`, { skip }, async () => {
      const cloud = `${process.pid}-${++clouds}`;
      const ends: Bus[] = [];
      const end = () => {
        if (!shared && ends[0]) return ends[0];
        const made = make(cloud, { redeliverMs: 50, ...more });
        ends.push(made);
        return made;
      };
      try {
        await run({ a: end(), b: end(), more: end });
      } finally {
        await Promise.all(ends.map((each) => each.close()));
      }
    });

  check('an ask is answered', async ({ a, b }) => {
    await b.serve(clerk, { add: async (in_) => ({ sum: in_.a + in_.b }), fail: refuse, note: refuse });
    assert.deepEqual(await a.ask(clerk, 'add', { a: 2, b: 3 }), { sum: 5 });
    const many = await Promise.all(Array.from({ length: 200 }, (_, n) => a.ask(clerk, 'add', { a: n, b: 1 })));
    assert.deepEqual(
      many.map((answer) => answer.sum),
      Array.from({ length: 200 }, (_, n) => n + 1),
    );
    assert.equal(a.healthy(), true);
  });

  check('an error comes back as it was thrown, without its private part', async ({ a, b }) => {
    await b.serve(clerk, {
      add: refuse,
      note: refuse,
      fail: async ({ how }) => {
        if (how === 'plain') throw new TypeError('oh');
        throw noSuchPaper({ id: how }, { detail: 'it burned' });
      },
    });
    const cause = await a.ask(clerk, 'fail', { how: 'x' }).catch((reason: unknown) => reason);
    assert.ok(cause instanceof CloudError);
    assert.deepEqual(
      [cause.code, cause.kind, cause.message, cause.params, cause.detail],
      ['paper.not_found', 'notFound', 'Paper x could not be found.', { id: 'x' }, undefined],
    );
    await assert.rejects(a.ask(clerk, 'fail', { how: 'plain' }), { code: 'unexpected', kind: 'internal' });
  });

  check('an ask that nobody answers ends at its deadline', async ({ a, b }) => {
    await assert.rejects(a.ask(clerk, 'add', { a: 1, b: 1 }, { timeoutMs: 100 }), isCode('bus.timeout'));
    await b.serve(clerk, { add: () => new Promise(() => {}), fail: refuse, note: refuse });
    await assert.rejects(a.ask(clerk, 'add', { a: 1, b: 1 }, { timeoutMs: 100 }), isCode('bus.timeout'));
  });

  check('an ask waits for a receiver that comes in time, and is not done when it is too late', async ({ a, b }) => {
    const done: number[] = [];
    await assert.rejects(a.ask(clerk, 'add', { a: 1, b: 0 }, { timeoutMs: 50 }), isCode('bus.timeout'));
    const waiting = a.ask(clerk, 'add', { a: 2, b: 0 }, { timeoutMs: 10_000 });
    await b.serve(clerk, {
      add: async (in_) => {
        done.push(in_.a);
        return { sum: in_.a };
      },
      fail: refuse,
      note: refuse,
    });
    assert.deepEqual(await waiting, { sum: 2 });
    assert.deepEqual(done, [2]);
  });

  check('what was told waits for a receiver that starts late', async ({ a, b }) => {
    for (let id = 0; id < 20; id++) await a.tell(clerk, 'note', { id, text: 'für später 😀' });
    const got = collector(20);
    await b.serve(clerk, { add: refuse, fail: refuse, note: got.take });
    await got.all;
    assert.deepEqual(got.ids(), range(20));
    assert.equal(got.texts.get(7), 'für später 😀');
  });

  check('a message whose handler throws comes again, a few times and not for ever', async ({ a, b }) => {
    const tries = new Map<number, number>();
    await b.serve(clerk, {
      add: refuse,
      fail: refuse,
      note: async (in_) => {
        const n = (tries.get(in_.id) ?? 0) + 1;
        tries.set(in_.id, n);
        if (in_.id === 0 || n < 3) throw new Error('not now');
      },
    });
    await a.tell(clerk, 'note', { id: 0, text: 'poison' });
    await a.tell(clerk, 'note', { id: 1, text: 'third time' });
    await until(() => (tries.get(0) ?? 0) >= 6 && tries.get(1) === 3);
    await a.tell(clerk, 'note', { id: 2, text: '' });
    await until(() => tries.get(2) === 3); // time enough for a seventh try
    assert.equal(tries.get(0), 6);
  });

  check('each host has its queue', async ({ a, b, more }) => {
    const c = more();
    const heard: string[] = [];
    const serve = (bus: Bus, host: string) =>
      bus.serve(
        clerk,
        { add: async (in_) => ({ sum: in_.a * (host === 'one' ? 1 : 100) }), fail: refuse, note: async () => void heard.push(host) },
        { host },
      );
    await serve(b, 'one');
    await serve(c, 'two');
    assert.deepEqual(await a.ask(clerk, 'add', { a: 1, b: 0 }, { host: 'two' }), { sum: 100 });
    assert.deepEqual(await a.ask(clerk, 'add', { a: 1, b: 0 }, { host: 'one' }), { sum: 1 });
    for (let id = 0; id < 5; id++) await a.tell(clerk, 'note', { id, text: '' }, { host: 'one' });
    await until(() => heard.length === 5);
    assert.deepEqual(new Set(heard), new Set(['one']));
    await assert.rejects(a.ask(clerk, 'add', { a: 1, b: 0 }, { timeoutMs: 100 }), isCode('bus.timeout'));
  });

  check('two receivers of one queue share the work, and the stopped one gets none', async ({ a, b, more }) => {
    const counts = [0, 0];
    const serve = (bus: Bus, which: 0 | 1) =>
      bus.serve(
        clerk,
        {
          add: async () => {
            counts[which]!++;
            return { sum: which };
          },
          fail: refuse,
          note: refuse,
        },
        { concurrency: 4 },
      );
    const stopFirst = await serve(b, 0);
    await serve(more(), 1);
    await Promise.all(Array.from({ length: 100 }, () => a.ask(clerk, 'add', { a: 0, b: 0 })));
    assert.ok(counts[0]! > 10 && counts[1]! > 10, `shared ${counts}`);
    await stopFirst();
    const before = counts[0];
    await Promise.all(Array.from({ length: 20 }, () => a.ask(clerk, 'add', { a: 0, b: 0 })));
    assert.equal(counts[0], before);
  });

  check('no more run at once than was said', async ({ a, b }) => {
    let running = 0;
    let most = 0;
    await b.serve(
      clerk,
      {
        add: async () => {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
          return { sum: 0 };
        },
        fail: refuse,
        note: refuse,
      },
      { concurrency: 3 },
    );
    await Promise.all(Array.from({ length: 50 }, () => a.ask(clerk, 'add', { a: 0, b: 0 })));
    assert.equal(most, 3);
  });

  check('a ring is heard by all, also by the one who rings', async ({ a, b, more }) => {
    const ends = [a, b, more()];
    const heard = [0, 0, 0];
    const stops = await Promise.all(ends.map((end, n) => end.onRing('jobs', () => void heard[n]!++)));
    await until(() => {
      a.ring('jobs');
      a.ring('other');
      return heard.every((n) => n > 0);
    });
    await stops[1]?.();
    const before = heard[1];
    const others = heard[2]!;
    await until(() => {
      a.ring('jobs');
      return heard[2]! > others;
    });
    if (shared) assert.equal(heard[1], before);
  });

  check('a message that does not fit its contract is refused at both ends', async ({ a, b }) => {
    await assert.rejects(a.ask(clerk, 'add', { a: 'x', b: 1 } as never), isCode('bus.bad_message'));
    await assert.rejects(a.tell(clerk, 'note', { id: 1.5, text: '' }), isCode('bus.bad_message'));
    const got = collector(1);
    await b.serve(clerk, { add: async () => ({ total: 1 }) as never, fail: refuse, note: got.take });
    await assert.rejects(a.ask(clerk, 'add', { a: 1, b: 1 }), isCode('bus.bad_message'));
    // Sent by a process of another release: dropped, and what comes after is not held up.
    await a.tell(otherClerk, 'note', { id: 'x' });
    await a.tell(otherClerk, 'gone', {});
    await a.tell(clerk, 'note', { id: 0, text: '' });
    await got.all;
    assert.deepEqual(got.ids(), [0]);
  });

  check('a message of 2 MiB arrives whole', async ({ a, b }) => {
    const got = collector(1);
    await b.serve(clerk, { add: refuse, fail: refuse, note: got.take });
    const big = '😀é"\\'.repeat(200_000);
    await a.tell(clerk, 'note', { id: 0, text: big });
    await got.all;
    assert.ok(got.texts.get(0) === big);
  });

  check('a closed bus says so', async ({ a }) => {
    const waiting = a.ask(clerk, 'add', { a: 1, b: 1 });
    const ended = assert.rejects(waiting, isCode('bus.unavailable'));
    await a.close();
    await ended;
    await assert.rejects(a.tell(clerk, 'note', { id: 1, text: '' }), isCode('bus.unavailable'));
    await assert.rejects(a.ask(clerk, 'add', { a: 1, b: 1 }), isCode('bus.unavailable'));
    assert.equal(a.healthy(), false);
  });

  const random = seeded(7);
  check(
    'on an unkind bus a sender that repeats and a receiver that remembers end exact',
    async ({ a, b }) => {
      const done = new Set<number>();
      let effects = 0;
      let deliveries = 0;
      await b.serve(clerk, {
        async add(in_) {
          deliveries++;
          if (!done.has(in_.a)) {
            done.add(in_.a);
            effects++;
          }
          return { sum: in_.a };
        },
        fail: refuse,
        note: refuse,
      });
      const total = 150;
      await Promise.all(
        range(total).map(async (n) => {
          for (;;) {
            try {
              const answer = await a.ask(clerk, 'add', { a: n, b: 0 }, { timeoutMs: 150 });
              assert.equal(answer.sum, n);
              return;
            } catch (cause) {
              if (!isCode('bus.timeout')(cause)) throw cause;
            }
          }
        }),
      );
      assert.equal(effects, total);
      assert.ok(deliveries > total, 'the bus was kind');
    },
    { unkind: { lose: 0.2, repeat: 0.2, reorder: 0.2, random } },
  );
}

export const isCode = (code: string) => (cause: unknown) => cause instanceof CloudError && cause.code === code;
export const range = (n: number) => Array.from({ length: n }, (_, each) => each);

/** Waits for a condition, looking often; a condition that never comes is the test's timeout. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Remembers notes by id; `all` resolves when so many different ones were taken. */
export function collector(wanted: number) {
  const texts = new Map<number, string>();
  let finish = () => {};
  const all = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return {
    texts,
    all,
    ids: () => [...texts.keys()].sort((a, b) => a - b),
    async take(note: { id: number; text: string }) {
      texts.set(note.id, note.text);
      if (texts.size === wanted) finish();
    },
  };
}

/** A small generator of numbers between 0 and 1: the same ones for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
