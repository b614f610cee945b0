import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSlots } from './slots.ts';

const never = new AbortController().signal;

test('never more than there are slots, also when one comes as another leaves; first come, first served', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  let busy = 0;
  const work = async (name: string) => {
    const free = await slots.take(never);
    assert.equal(++busy, 1, name);
    order.push(name);
    await Promise.resolve();
    busy--;
    free();
  };
  const free = await slots.take(never);
  const waiting = work('first');
  free();
  await Promise.all([waiting, work('second'), work('third')]);
  assert.deepEqual(order, ['first', 'second', 'third']);
});

test('who gives up waiting has no turn, and holds nobody up', async () => {
  const slots = createSlots(1);
  const end = new AbortController();
  const free = await slots.take(never);
  const gone = slots.take(end.signal);
  const next = slots.take(never);
  end.abort();
  (await gone)();
  (await slots.take(end.signal))();
  let turned = false;
  void next.then(() => {
    turned = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(turned, false, 'the first still has the slot');
  free();
  (await next)();
});

test('without a number everybody has a turn', async () => {
  const slots = createSlots(0);
  assert.equal((await Promise.all(Array.from({ length: 100 }, () => slots.take(never)))).length, 100);
});
