// What the core costs on the fake driver: one create at a time, then many at once. `node test/bench-core.ts [count] [hosts]`
import { openHouse } from './core-house.ts';

const [count = '1000', hosts = '10'] = process.argv.slice(2);
const house = await openHouse({ hosts: Number(hosts), agent: { concurrency: 0 } });
const state = (uuid: string) =>
  house.db.read.selectFrom('servers').select(['vm_state', 'task_state']).where('uuid', '=', uuid).executeTakeFirstOrThrow();
const active = async (uuid: string) => {
  for (;;) {
    const row = await state(uuid);
    if (row.vm_state !== 'building') return row.vm_state;
    await new Promise((resolve) => setImmediate(resolve));
  }
};
for (let at = 0; at < 50; at++) await active((await house.create())[0]!);
const times: number[] = [];
for (let at = 0; at < 100; at++) {
  const began = performance.now();
  await active((await house.create())[0]!);
  times.push(performance.now() - began);
}
times.sort((a, b) => a - b);
console.log(JSON.stringify({ figure: 'core.create_to_active_p50', value: times[50], p95: times[95], unit: 'ms' }));
const total = Number(count);
const began = performance.now();
const cpu = process.cpuUsage();
let left = total;
const clock = async () => {
  while (left-- > 0) {
    const [uuid] = await house.create();
    for (;;) {
      if ((await state(uuid!)).vm_state !== 'building') break;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
};
await Promise.all(Array.from({ length: 32 }, clock));
const ms = performance.now() - began;
const used = process.cpuUsage(cpu);
console.log(
  JSON.stringify({
    figure: 'core.creates',
    value: Math.round((total / ms) * 1000),
    unit: '1/s',
    cpuMs: (used.user + used.system) / 1000 / total,
    conditions: { hosts: Number(hosts), concurrency: 32 },
  }),
);
console.log(await house.audit());
await house.close();
