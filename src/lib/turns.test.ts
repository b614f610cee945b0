import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { openAbortable } from './abortable.ts';
import { createSharedWork } from './shared-work.ts';
import { createTurns } from './turns.ts';

test('deeds of one key run one after the other, a failed one lets the next go on, other keys do not wait', async () => {
  const turns = createTurns();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.run('a', async () => {
    seen.push('first begins');
    await gate.promise;
    seen.push('first ends');
    throw new Error('no');
  });
  const second = turns.run('a', async () => seen.push('second'));
  await turns.run('b', async () => seen.push('other'));
  gate.resolve();
  await assert.rejects(first, /no/);
  await second;
  assert.deepEqual(seen, ['first begins', 'other', 'first ends', 'second']);
});

test('an interruption reaches the deeds that run or wait, not later ones', async () => {
  const turns = createTurns();
  const waiting = turns.run('a', (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('hurried'))));
  await Promise.resolve();
  turns.interrupt('a');
  const later = turns.run('a', async (signal) => signal.aborted);
  assert.equal(await waiting, 'hurried');
  assert.equal(await later, false);
});

test('shared work runs once for all callers and is aborted only when the last has left', async () => {
  const share = createSharedWork<string>();
  let runs = 0;
  let aborted = false;
  const work = (signal: AbortSignal) =>
    new Promise<string>((_, reject) => {
      runs++;
      signal.addEventListener('abort', () => {
        aborted = true;
        reject(new Error('aborted'));
      });
    });
  const [one, two] = [new AbortController(), new AbortController()];
  const outcomes = [share('k', one.signal, work), share('k', two.signal, work)];
  one.abort(new Error('one left'));
  await assert.rejects(outcomes[0]!, /one left/);
  assert.deepEqual([runs, aborted], [1, false]);
  two.abort(new Error('two left'));
  await assert.rejects(outcomes[1]!, /two left/);
  assert.deepEqual([runs, aborted], [1, true]);
  assert.equal(await share('k', new AbortController().signal, async () => 'anew'), 'anew');
});

test('a stream that opens after its reader has left is closed unread', async () => {
  const stop = new AbortController();
  const opening = Promise.withResolvers<Readable>();
  const opened = openAbortable(() => opening.promise, stop.signal);
  stop.abort(new Error('left'));
  await assert.rejects(opened, /left/);
  const late = new Readable({ read() {} });
  opening.resolve(late);
  await opening.promise;
  await Promise.resolve();
  assert.equal(late.destroyed, true);
});
