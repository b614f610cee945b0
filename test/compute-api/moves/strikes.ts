import assert from 'node:assert/strict';
import type { JobKind } from '../../../src/model/jobs.ts';
import type { Phase } from '../../../src/services/conductor/parts.ts';
import { died } from '../../../src/services/conductor/run-job.ts';
import { type ActHouse, openActHouse } from '../acts/house.ts';

/** One job of a move: how a server gets before it, what asks for it, what it makes of the server, and its points. */
export interface Struck {
  readonly kind: JobKind;
  before(house: ActHouse): Promise<string>;
  readonly body: object | null;
  readonly at?: string;
  readonly result: string;
  /** States in which a failure may leave it: as it was, or with the job done when the failure came too late. */
  readonly failed: readonly string[];
  readonly steps: readonly string[];
}
const resized = async (house: ActHouse) => {
  const id = await house.boot();
  await house.act(id, { resize: { flavorRef: '2' } });
  assert.equal((await house.ended(id)).vmState, 'resized');
  return id;
};
const offloaded = async (house: ActHouse) => {
  const id = await house.boot();
  await house.act(id, { shelve: null });
  assert.equal((await house.ended(id)).vmState, 'shelved_offloaded');
  return id;
};

export const struck: readonly Struck[] = [
  {
    kind: 'move-server',
    before: (house) => house.boot(),
    body: { resize: { flavorRef: '2' } },
    result: 'resized',
    failed: ['active', 'resized'],
    steps: ['reserve', 'leave', 'ports', 'arrive'],
  },
  {
    kind: 'revert-resize',
    before: resized,
    body: { revertResize: null },
    result: 'active',
    failed: ['resized', 'active'],
    steps: ['leave', 'ports', 'back'],
  },
  {
    kind: 'live-migrate',
    before: (house) => house.boot(),
    body: { 'os-migrateLive': { host: null, block_migration: 'auto' } },
    at: '2.34',
    result: 'active',
    failed: ['active', 'error'],
    steps: ['reserve', 'prepare', 'send', 'ports', 'settle'],
  },
  {
    kind: 'evacuate-server',
    async before(house) {
      const id = await house.boot();
      const { host } = await house.server(id);
      await house.db.transaction((tx) =>
        tx
          .updateTable('services')
          .set({ forced_down: 1 })
          .where('host', '=', host ?? '')
          .execute(),
      );
      return id;
    },
    body: { evacuate: {} },
    at: '2.94',
    result: 'active',
    failed: ['error', 'active'],
    steps: ['reserve', 'ports', 'make'],
  },
  {
    kind: 'shelve-server',
    before: (house) => house.boot(),
    body: { shelve: null },
    result: 'shelved_offloaded',
    failed: ['active', 'shelved_offloaded'],
    steps: ['stop', 'upload', 'stop-late'],
  },
  {
    kind: 'offload-server',
    before: (house) => house.boot(),
    body: { shelve: null },
    result: 'shelved_offloaded',
    failed: ['shelved', 'shelved_offloaded'],
    steps: ['drop', 'unbind'],
  },
  {
    kind: 'unshelve-server',
    before: offloaded,
    body: { unshelve: null },
    result: 'active',
    failed: ['shelved_offloaded', 'active'],
    steps: ['start', 'place', 'ports', 'make', 'forget'],
  },
  { kind: 'tidy-host', before: resized, body: { confirmResize: null }, result: 'active', failed: ['active'], steps: ['drop'] },
  { kind: 'delete-server', before: resized, body: null, result: 'deleted', failed: ['deleted', 'error'], steps: ['others', 'destroy'] },
];

/** Where the next strike falls: at a point of a job, as an error or as the conductor's death. */
export interface Strike {
  readonly kind: JobKind;
  readonly step: string;
  readonly phase: Phase;
  readonly how: 'fails' | 'dies';
}

/** A house that can be struck. `strikes` are taken away as they fall. */
export async function openStruckHouse() {
  const strikes: Strike[] = [];
  const house = await openActHouse({
    hosts: 3,
    conductor: { leaseMs: 250, pollMs: 50, resendMs: 60 },
    onStep(kind, step, phase) {
      const at = strikes.findIndex((one) => one.kind === kind && one.step === step && one.phase === phase);
      const [strike] = at < 0 ? [] : strikes.splice(at, 1);
      if (strike) throw strike.how === 'dies' ? died : new Error(`told to fail at ${step} ${phase}`);
    },
  });
  return {
    house,
    /** Does the job under strikes, and holds everything there is against everything else. Answers the state it ended in; undefined when no strike fell. */
    async strike(job: Struck, list: readonly Strike[]): Promise<string | undefined> {
      const id = await job.before(house);
      strikes.push(...list);
      if (job.body === null) await house.ask(`DELETE /servers/${id}`);
      else {
        const answer = await house.act(id, job.body, { as: 'admin', ...(job.at ? { at: job.at } : {}) });
        assert.ok(answer.status < 300, answer.text);
      }
      await house.core.quiet();
      const fell = strikes.splice(0).length < list.length;
      const server = await house.core.server(id);
      await house.db.transaction((tx) => tx.updateTable('services').set({ forced_down: 0 }).execute());
      for (const agent of house.core.agents.values()) await agent.sync();
      await house.core.until(
        () => house.core.audit(),
        (wrong) => wrong.length === 0,
        3000,
      );
      const state = server?.deleted ? 'deleted' : server?.vmState;
      assert.equal(server?.taskState, null);
      // Whatever it is now, it can be deleted and leaves nothing.
      await house.wipe();
      assert.deepEqual(await house.core.audit(), []);
      assert.equal(house.core.images.images.size, 1, 'an image was left');
      for (const driver of Object.values(house.core.drivers)) assert.deepEqual(await driver.guests(), []);
      return fell ? state : undefined;
    },
    close: () => house.close(),
  };
}
