import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../../src/db/migrate.ts';
import { openDatabase } from '../../src/db/open.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { openPlacementHouse, type PlacementHouse } from '../placement/house.ts';
import { conditions } from './cloud.ts';
import { figure, percentile } from './figure.ts';

const RUNS = 60;
const CLAIMS = 2000;

/** Candidates at a thousand and ten thousand providers over HTTP, unchanged and after claims; claims each second. */
export async function benchPlacement(): Promise<void> {
  for (const providers of [1000, 10_000]) {
    const dir = mkdtempSync(join(tmpdir(), 'kilonova-bench-'));
    const db = await openDatabase({ url: `sqlite:///${join(dir, 'placement.db')}` });
    await migrate(db);
    const house = await openPlacementHouse({ db, clock: systemClock });
    try {
      const uuids = await fill(house, providers);
      const wish = 'resources=VCPU:1,MEMORY_MB:512,DISK_GB:1';
      for (const [name, query] of [
        ['limit_1000', `${wish}&limit=1000`],
        ['all', wish],
        ['limit_1000_trait', `${wish}&required=CUSTOM_ODD&limit=1000`],
        ['limit_10', `${wish}&limit=10`],
      ] as const) {
        await measure(house, query, { name: `placement.candidates_${name}`, providers });
      }
      await measure(house, `${wish}&limit=1000`, { name: 'placement.candidates_limit_1000_after_claim', providers }, async (turn) => {
        if ((await house.claim({ [uuids[turn % uuids.length] ?? '']: { VCPU: 1 } })) !== 204) throw new Error('a claim was refused');
      });
      for (const clients of [1, 16]) {
        const start = performance.now();
        let next = 0;
        const work = async () => {
          for (let turn = next++; turn < CLAIMS; turn = next++) {
            const status = await house.claim({ [uuids[turn % uuids.length] ?? '']: { VCPU: 1, MEMORY_MB: 16, DISK_GB: 1 } });
            if (status !== 204) throw new Error(`a claim answered ${status}`);
          }
        };
        await Promise.all(Array.from({ length: clients }, work));
        figure('placement.claims', CLAIMS / ((performance.now() - start) / 1000), '1/s', { ...conditions, providers, clients });
      }
    } finally {
      await house.close();
      await db.close();
      rmSync(dir, { recursive: true, force: true });
    }
  }
}

async function measure(
  house: PlacementHouse,
  query: string,
  more: { name: string; providers: number },
  before: (turn: number) => Promise<void> = async () => {},
): Promise<void> {
  const headers = { 'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39' };
  const times: number[] = [];
  let bytes = 0;
  for (let turn = 0; turn < RUNS + 5; turn++) {
    await before(turn);
    const start = performance.now();
    const answer = await fetch(`${house.origin}/placement/allocation_candidates?${query}`, { headers });
    bytes = (await answer.arrayBuffer()).byteLength;
    if (answer.status !== 200) throw new Error(`candidates answered ${answer.status}`);
    if (turn >= 5) times.push(performance.now() - start);
  }
  for (const part of [0.5, 0.99])
    figure(`${more.name}_p${part * 100}`, percentile(times, part), 'ms', {
      ...conditions,
      providers: more.providers,
      clients: 1,
      requests: RUNS,
      bytes,
    });
}

/** Flat hosts, as an agent reports them, with a trait on every other one. */
async function fill(house: PlacementHouse, count: number): Promise<string[]> {
  const uuids = Array.from({ length: count }, newUuid);
  const at = systemClock.now();
  const offers = { VCPU: 4096, MEMORY_MB: 1_048_576, DISK_GB: 65_536 };
  await house.ask('PUT /traits/CUSTOM_ODD');
  await house.db.transaction(async (tx) => {
    for (let from = 0; from < count; from += 500) {
      const part = uuids.slice(from, from + 500);
      const of = { generation: 1, parent_uuid: null, created_at: at, updated_at: at };
      await tx
        .insertInto('resource_providers')
        .values(part.map((uuid) => ({ ...of, uuid, name: uuid, root_uuid: uuid })))
        .execute();
      for (const [name, total] of Object.entries(offers)) {
        const offer = { total, reserved: 0, min_unit: 1, max_unit: total, step_size: 1, allocation_ratio: 1, capacity: total, used: 0 };
        await tx
          .insertInto('inventories')
          .values(part.map((uuid) => ({ provider_uuid: uuid, resource_class: name, ...offer })))
          .execute();
      }
      const traits = part.flatMap((uuid, turn) =>
        ['COMPUTE_NODE', 'HW_CPU_X86_AVX2', ...(turn % 2 ? ['CUSTOM_ODD'] : [])].map((trait) => ({ provider_uuid: uuid, trait })),
      );
      await tx.insertInto('provider_traits').values(traits).execute();
    }
  });
  return uuids;
}
