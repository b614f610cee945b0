import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requires } from '../requires.ts';
import { runChaos } from './run.ts';

const SEED = Number(process.env.KILONOVA_CHAOS_SEED ?? 20);

test('two minutes of chaos: parts die again and again under many clients, and nothing is lost, leaked or stuck', {
  skip: requires('rabbitmq'),
}, async (t) => {
  t.diagnostic(`npm run chaos -- --seed ${SEED} --minutes 2`);
  const lines: string[] = [];
  const result = await runChaos({
    seed: SEED,
    minutes: 2,
    clients: 6,
    hosts: 3,
    guests: 0,
    engine: 'sqlite',
    outside: false,
    strikesPerMinute: 30,
    say: (line) => lines.push(line),
    keep: false,
  });
  t.diagnostic(`${result.kills} strikes, ${result.asked} requests, ${result.servers} servers at the end`);
  assert.deepEqual(result.wrong, [], lines.join('\n'));
  assert.ok(result.kills > 20 && result.asked > 100, `${result.kills} strikes, ${result.asked} requests`);
});
