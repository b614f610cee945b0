import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Input } from '../../src/bus/bus.ts';
import { conductorContract } from '../../src/bus/contracts/conductor.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { openHouse } from '../core-house.ts';
import { onEngine } from '../support/on-engine.ts';

type Question = Input<(typeof conductorContract)['messages']['registerHost']>;

// SQLite has one writer at a time, which is why this is not a story for every engine.
await onEngine('postgres', 'hosts', async () => {
  test('an agent whose question is heard by several conductors at once gets its host from each of them', async () => {
    const house = await openHouse({ hosts: 1, conductors: 2 });
    try {
      await house.agents.get('host-0')?.stop();
      let question: Question | undefined;
      const { ask } = house.bus;
      const listening = (...words: Parameters<typeof ask>) => {
        if (String(words[1]) === 'registerHost') question = words[2] as unknown as Question;
        return ask.apply(house.bus, words);
      };
      house.bus.ask = listening as typeof ask;
      await house.startAgent('host-0');
      await house.agents.get('host-0')?.stop();
      house.agents.delete('host-0');
      house.bus.ask = ask;
      const asked = question;
      assert.ok(asked);
      for (let round = 0; round < 10; round++) {
        const { agent_epoch: epoch } = await house.db.read.selectFrom('hypervisors').select('agent_epoch').executeTakeFirstOrThrow();
        const again: Question = { ...asked, epoch, bootId: newUuid() };
        const answers = await Promise.all(Array.from({ length: 4 }, () => house.bus.ask(conductorContract, 'registerHost', again)));
        assert.deepEqual(
          answers.map((answer) => answer.epoch),
          Array(4).fill(epoch + 1),
        );
      }
    } finally {
      await house.close();
    }
  });
});
