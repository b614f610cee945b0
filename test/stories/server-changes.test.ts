import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Client, type House, startHouse } from '../house/running.ts';

interface Event {
  readonly id: number;
  readonly event: string;
  readonly data: Record<string, unknown>;
}
let house: House;
let demo: Client;
let admin: Client;
before(async () => {
  house = await startHouse();
  demo = await house.as('demo');
  admin = await house.as('admin');
});
after(() => house.remove());

/** Follows the stream until `enough` holds, then hangs up. */
async function follow(client: Client, enough: (events: readonly Event[]) => boolean, more: { query?: string; from?: number } = {}) {
  const hangUp = new AbortController();
  const late = setTimeout(() => hangUp.abort(new Error('the events did not come')), 10_000);
  const answer = await fetch(`${house.base}/v2.1/servers/changes${more.query ?? ''}`, {
    headers: { 'x-auth-token': client.token, ...(more.from === undefined ? {} : { 'last-event-id': String(more.from) }) },
    signal: hangUp.signal,
  });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/event-stream/);
  const events: Event[] = [];
  let text = '';
  try {
    for await (const chunk of answer.body ?? []) {
      text += Buffer.from(chunk).toString();
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        const data = field('data');
        if (data !== undefined) events.push({ id: Number(field('id')), event: field('event') ?? '', data: JSON.parse(data) });
      }
      if (enough(events)) break;
    }
  } finally {
    clearTimeout(late);
    hangUp.abort();
  }
  return events;
}
const create = async (name: string) => {
  const { body: images } = await demo.image.ask<{ images: { id: string }[] }>('GET', '/v2/images');
  const server = { name, flavorRef: '1', imageRef: images.images[0]?.id, networks: 'auto' };
  const headers = { 'openstack-api-version': 'compute 2.96' };
  const made = await demo.compute.ask<{ server: { id: string } }>('POST', '/servers', { body: { server }, headers, expect: [202] });
  return made.body.server.id;
};
const isActive = (id: string) => (events: readonly Event[]) =>
  events.some(({ data }) => data.server_id === id && data.status === 'ACTIVE' && data.what === 'active');

test('a server is followed from its creation to its end, over a broken connection, without a gap', async () => {
  const [opened] = await follow(demo, (events) => events.length > 0);
  assert.equal(opened?.event, 'open');
  const id = await create('followed');
  const events = await follow(demo, isActive(id), { from: opened?.id ?? 0 });
  assert.deepEqual(events.filter(({ data }) => data.server_id === id).map(({ data }) => data.what)[0], 'created');
  assert.ok(events.every((event, at) => at === 0 || event.id > (events[at - 1]?.id ?? 0)));
  const last = events.at(-1)?.id ?? 0;
  await demo.compute.ask('DELETE', `/servers/${id}`, { expect: [204] });
  const rest = await follow(demo, (seen) => seen.some(({ data }) => data.what === 'deleted'), { from: last });
  assert.equal(rest.find(({ data }) => data.what === 'deleted')?.data.status, 'DELETED');
  assert.ok(rest.every(({ id: seq, event }) => event === 'open' || seq > last));
});

test('nobody follows what is not theirs, and no host is named', async () => {
  const [opened] = await follow(admin, (events) => events.length > 0);
  const id = await create('hidden');
  const all = await follow(admin, isActive(id), { query: '?all_tenants=1', from: opened?.id ?? 0 });
  assert.ok(isActive(id)(all));
  assert.ok(!JSON.stringify(all).includes('fake1'), 'a host name stands in the stream');
  const own = (await follow(demo, isActive(id), { from: opened?.id ?? 0 })).at(-1)?.id ?? 0;
  // The admin's own project has no servers: a heartbeat apart, nothing comes. A second server of demo's proves that the feed went on.
  const second = await create('second');
  await follow(demo, isActive(second), { from: own });
  const mine = follow(admin, (events) => events.some(({ data }) => data.server_id !== undefined), { from: opened?.id ?? 0 });
  const race = await Promise.race([mine.then(() => 'something'), follow(demo, isActive(second), { from: own }).then(() => 'nothing')]);
  assert.equal(race, 'nothing');
  mine.catch(() => undefined);
  const refused = await fetch(`${house.base}/v2.1/servers/changes?all_tenants=1`, { headers: { 'x-auth-token': demo.token } });
  assert.equal(refused.status, 403);
});

test('a number that nobody gave out is refused with the reason', async () => {
  const ask = (query: string) => fetch(`${house.base}/v2.1/servers/changes${query}`, { headers: { 'x-auth-token': demo.token } });
  assert.equal((await ask('?after=soon')).status, 400);
  const gone = await ask('?after=999999999');
  assert.equal(gone.status, 410);
  assert.match(await gone.text(), /List the servers again/);
  assert.equal((await fetch(`${house.base}/v2.1/servers/changes`)).status, 401);
});
