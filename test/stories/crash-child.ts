// A whole core in one process, for crash-points.slow.test.ts: `node crash-child.ts DIR POINT`. It does three deeds (build, stop, delete), each unless an
// earlier process did it, and dies by SIGKILL at the point. With the point '-' it goes to the end and prints what the audit says.
import { openHouse } from '../core-house.ts';

const [dir = '', point = '-'] = process.argv.slice(2);
const dieAt = (name: string) => {
  if (name === point) process.kill(process.pid, 'SIGKILL');
};
const house = await openHouse({
  dir,
  hosts: 2,
  conductor: { leaseMs: 600, pollMs: 20, resendMs: 150, crashAt: point, name: `conductor-${process.pid}` },
  host: { misbehaviour: { spawn: { slowMs: 200 } } },
  onAgentStep: (step, phase) => dieAt(`agent.${step}.${phase}`),
});
const list = () => house.db.read.selectFrom('servers').selectAll().orderBy('id').execute();
if ((await list()).length === 0) await house.create({ count: 3 });
await house.quiet(20_000);
const [first, second] = await list();
const asked = await house.db.read.selectFrom('server_actions').select('action').execute();
if (!asked.some((row) => row.action === 'stop') && first?.vm_state === 'active') await house.power(first.uuid, 'stop');
await house.quiet(20_000);
// The third is copied and the first made anew, which leaves it stopped.
const third = (await list())[2];
if (!asked.some((row) => row.action === 'createImage') && third?.vm_state === 'active') await house.snapshot(third.uuid, 'daily');
if (!asked.some((row) => row.action === 'rebuild') && first) await house.rebuild(first.uuid);
await house.quiet(20_000);
if (!asked.some((row) => row.action === 'delete') && second) await house.delete(second.uuid);
await house.quiet(20_000);
let wrong = await house.audit();
for (let tries = 0; wrong.length > 0 && tries < 100; tries++) {
  await new Promise((resolve) => setTimeout(resolve, 20));
  wrong = await house.audit();
}
const images = [...house.images.images.values()].map((image) => image.status);
console.log(
  JSON.stringify({ wrong, images, states: (await list()).map((row) => row.vm_state), faults: (await list()).map((row) => row.fault) }),
);
await house.close();
