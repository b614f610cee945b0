import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { fetchTold } from './byte-progress.ts';

test('an image that is brought here tells how far it is, once a second, and its source ends with its reader', async () => {
  let now = 0;
  const clock = { ...systemClock, now: () => now };
  const ref = { id: 'image', diskFormat: 'raw', sizeBytes: 40, hashAlgo: 'sha512', hashValue: '' } as const;
  const source = Readable.from([...'abcd'].map((letter) => Buffer.from(letter.repeat(10))));
  const told: number[] = [];
  let read = '';
  const driver = {
    async fetchImage(_ref: object, open: () => Promise<Readable>) {
      for await (const chunk of await open()) {
        read += String(chunk);
        now += 600_000;
        if (read.length === 30) break;
      }
      return { cached: false, ms: 0 };
    },
  };
  // Only what is used of each part.
  const parts = { clock, driver, image: { download: async () => source } } as unknown as Parameters<typeof fetchTold>[0];
  await fetchTold(parts, ref, new AbortController().signal, ({ diskProcessed, diskTotal }) => void told.push(diskProcessed / diskTotal));
  assert.equal(read, 'a'.repeat(10) + 'b'.repeat(10) + 'c'.repeat(10));
  assert.ok(told.length > 0 && told.length < 4, `${told}`);
  assert.ok(told.every((part) => part > 0 && part <= 1));
  assert.equal(source.destroyed, true);
});
