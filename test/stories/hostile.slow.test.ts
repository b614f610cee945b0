import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { imageAndFlavor, liftQuota } from '../bench/cloud.ts';
import { everyRoute, type Skeleton, skeletons } from '../house/hostile-skeletons.ts';
import { openClient, rawRequest, sendRaw } from '../house/hostile-wire.ts';
import { anyValue, brokenBytes, type Dice, dice, oddIds, queryWords, spoil, texts } from '../house/hostile-words.ts';
import { type Client, type House, startHouse } from '../house/running.ts';

const REQUESTS = Number(process.env.REQUESTS ?? 5000);
const RAW = 400;
const SEED = Number(process.env.SEED ?? 20261121);
/** Stands in what belongs to the admin's project alone. */
const SECRET = 'admin-only-secret-name';

let house: House;
let demo: Client;
let admin: Client;
/** Ids by noun; the first of each is never deleted. */
const own: Record<string, string[]> = {};
const foreign: Record<string, string> = {};
before(async () => {
  house = await startHouse();
  demo = await house.as('demo');
  admin = await house.as('admin');
  await liftQuota(house);
  const { imageRef, flavorRef } = await imageAndFlavor(demo);
  type Made = Record<string, { id: string }>;
  const make = async (client: Client, part: 'network' | 'identity' | 'compute', path: string, word: string, fields: object) => {
    const headers = { 'openstack-api-version': 'compute 2.37' };
    const made = await client[part].ask<Made>('POST', path, { body: { [word]: fields }, headers });
    return made.body[word]?.id ?? '';
  };
  const image = async (client: Client, name: string, visibility = 'private') =>
    (
      await client.image.ask<{ id: string }>('POST', '/v2/images', {
        body: { name, disk_format: 'raw', container_format: 'bare', visibility },
      })
    ).body.id;
  const furnish = async (client: Client, name: string) => {
    const network = await make(client, 'network', '/v2.0/networks', 'network', { name });
    const subnet = await make(client, 'network', '/v2.0/subnets', 'subnet', {
      network_id: network,
      cidr: '172.24.0.0/16',
      ip_version: 4,
      name,
    });
    const group = await make(client, 'network', '/v2.0/security-groups', 'security_group', { name, description: name });
    const port = await make(client, 'network', '/v2.0/ports', 'port', { network_id: network, name });
    const queued = await image(client, name);
    const server = await make(client, 'compute', '/servers', 'server', { name, imageRef, flavorRef, networks: 'auto', metadata: { name } });
    return { network, subnet, group, port, queued, server };
  };
  Object.assign(foreign, await furnish(admin, SECRET));
  foreign.image = foreign.queued ?? '';
  for (const [noun, id] of Object.entries(await furnish(demo, 'mine'))) own[noun] = [id];
  const spare = await make(admin, 'identity', '/v3/projects', 'project', { name: 'spare', domain_id: 'default' });
  const { token } = (
    await demo.identity.ask<{ token: { user: { id: string }; project: { id: string } } }>('GET', '/v3/auth/tokens', {
      headers: { 'x-subject-token': demo.token },
    })
  ).body;
  Object.assign(own, { image: [imageRef], flavor: [flavorRef], spare: [spare], user: [token.user.id], project: [token.project.id] });
  own.token = [demo.token];
  own.password = [JSON.parse(readFileSync(join(house.dataDir, 'secrets.json'), 'utf8')).demoPassword];
  own.shared = [await image(demo, 'mine', 'shared')];
  await demo.compute.ask('POST', '/os-keypairs', { body: { keypair: { name: 'k' } } });
});
after(async () => {
  await house?.stop();
  await house?.remove();
});

const types = [
  'application/json',
  'application/json',
  'text/xml',
  'application/octet-stream',
  'x'.repeat(500),
  '',
  'application/json; charset=utf-16',
];
const versions = [
  'compute 2.96',
  'compute latest',
  'compute 2.1',
  'compute 99.9',
  'compute x',
  'volume 3.0',
  'compute 2.37',
  ',,,',
  'compute 2.104',
];
const wrongMethods = ['GET', 'POST', 'PUT', 'PATCH', 'HEAD', 'OPTIONS', 'PROPFIND', 'TRACE', 'PURGE'];

interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer | undefined;
  readonly byAdmin: boolean;
}

/** A request that is good but for one or two things. */
function nextRequest(random: Dice): Request {
  const byAdmin = random.chance(0.25);
  const token = random.chance(0.88)
    ? byAdmin
      ? admin.token
      : demo.token
    : random.pick([
        '',
        'garbage',
        'a.b.c',
        `${demo.token}x`,
        demo.token.slice(0, -3),
        'x'.repeat(20_000),
        'eyJhbGciOiJub25lIn0.e30.',
        '\u00ff',
      ]);
  const given: Skeleton = random.chance(0.75) ? random.pick(skeletons) : random.pick(everyRoute);
  const method = random.chance(0.08) && given.method !== 'DELETE' ? random.pick(wrongMethods) : given.method;
  const idOf = (noun: string): string => {
    if (noun === 'new') return randomUUID();
    if (noun === 'byte') return String(random.below(256));
    if (noun === 'odd' || random.chance(0.06)) return random.pick(oddIds);
    if (!byAdmin && random.chance(0.15) && foreign[noun]) return foreign[noun];
    const ids = method === 'DELETE' ? (own[noun] ?? []).slice(1) : (own[noun] ?? []);
    return ids.length > 0 ? random.pick(ids) : randomUUID();
  };
  const filled = (text: string) => text.replaceAll(/\{([a-z]+)\}/g, (_all, noun: string) => idOf(noun));
  const query = random.chance(0.3)
    ? `?${random.pick(queryWords)}=${encodeURIComponent(random.pick(texts).toWellFormed().slice(0, 3000))}&${random.pick(queryWords)}=${random.pick(['%ff', '1', '%00', '', 'a&&=&'])}`
    : '';
  let body: Buffer | undefined;
  if (method !== 'GET' && method !== 'HEAD') {
    const text =
      given.body === undefined || random.chance(0.2) ? JSON.stringify(given.body ?? anyValue(random)) : spoil(random, given.body);
    body = random.chance(0.12) ? brokenBytes(random, filled(text)) : Buffer.from(filled(text));
  }
  const headers: Record<string, string> = {
    'content-type': random.chance(0.95) ? (given.type ?? 'application/json') : random.pick(types),
    ...(token ? { 'x-auth-token': token } : {}),
    ...(random.chance(0.85) ? { 'openstack-api-version': random.chance(0.75) ? 'compute 2.96' : random.pick(versions) } : {}),
    ...(random.chance(0.1) ? { 'x-subject-token': random.pick([demo.token, 'x', 'a.b.c', 'y'.repeat(30_000)]) } : {}),
    ...(random.chance(0.05) ? { host: random.pick(['evil.example', 'a'.repeat(300), '<x>']) } : {}),
    ...(random.chance(0.05) ? { range: random.pick(['bytes=5-1', 'bytes=-0', 'bytes=99999999999999999999-', 'x', 'bytes=0-0,2-3']) } : {}),
    ...(random.chance(0.05) ? { accept: random.pick(['text/html', '*/*;q=x', 'z'.repeat(9000)]) } : {}),
    ...(random.chance(0.03) ? { 'transfer-encoding': 'chunked' } : {}),
    ...(random.chance(0.03) ? { 'x-openstack-request-id': random.pick(['req-x', 'q'.repeat(5000)]) } : {}),
  };
  return { method, path: (filled(given.path) + query).replaceAll(/[^\x21-\x7e]/g, '') || '/', headers, body, byAdmin };
}

/** 501 is an honest answer to a deed nobody does; every other 5xx is a fault of ours. */
const isFault = (status: number) => status >= 500 && status !== 501;

/** What the log calls an error: a 5xx, also one that nobody waited for. */
const errorsLogged = () =>
  readFileSync(join(house.dataDir, 'kilonova.log'), 'utf8')
    .split('\n')
    .filter((line) => /"level":(50|60|"error"|"fatal")/.test(line))
    .map((line) => line.slice(0, 600));

test(`${REQUESTS} malformed requests: no 5xx, no hang, nothing of another project`, async () => {
  const random = dice(SEED);
  const client = openClient(house.base);
  const seen = new Map<number, number>();
  const wrong: string[] = [];
  const one = async () => {
    const asked = nextRequest(random);
    const answer = await client.send(asked.method, asked.path, asked.headers, asked.body);
    seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
    const what = `${asked.method} ${asked.path.slice(0, 150)}`;
    if (isFault(answer.status))
      wrong.push(
        `${answer.status} ${what} ${JSON.stringify(asked.headers).slice(0, 300)} ${asked.body?.subarray(0, 1500) ?? ''} -> ${answer.text.slice(0, 300)}`,
      );
    if (!asked.byAdmin && answer.text.includes(SECRET)) wrong.push(`leaks: ${what}`);
    if (answer.status === 201 || answer.status === 202) keep(asked.path, answer.text);
  };
  for (let sent = 0; sent < REQUESTS; sent += 20) await Promise.all(Array.from({ length: 20 }, one));
  client.close();
  const statuses = `answers by status: ${JSON.stringify(Object.fromEntries([...seen].sort(([a], [b]) => a - b)))}`;
  if (process.env.SEED) console.log(statuses);
  assert.deepEqual(wrong.slice(0, 10), [], `seed ${SEED}, ${wrong.length} wrong, ${statuses}`);
  const count = (status: number) => seen.get(status) ?? 0;
  assert.ok(count(0) < REQUESTS / 20, `connections must not just break: ${statuses}`);
  assert.ok(
    count(400) > 500 && count(404) > 200 && count(401) > 200 && count(403) > 50 && count(409) > 20,
    `they must reach the handlers: ${statuses}`,
  );
  assert.ok(count(200) + count(201) + count(202) > 350, `some must be good enough to be served: ${statuses}`);
  assert.deepEqual(errorsLogged().slice(0, 5), []);
  assert.equal((await fetch(`${house.base}/healthz`)).status, 200);
});

/** New things become targets of later requests. */
function keep(path: string, text: string): void {
  const noun = { server: 'server', network: 'network', subnet: 'subnet', port: 'port', security_group: 'group', project: 'spare' };
  try {
    const body: unknown = JSON.parse(text);
    if (body === null || typeof body !== 'object') return;
    for (const [word, kind] of Object.entries(noun)) {
      const made = (body as Record<string, { id?: unknown } | undefined>)[word];
      if (typeof made?.id === 'string') own[kind]?.push(made.id);
    }
    if (path.startsWith('/image/v2/images') && 'id' in body && typeof body.id === 'string') own.queued?.push(body.id);
  } catch {
    // an answer without a body
  }
}

test(`${RAW} times bytes that are hardly HTTP: an answer below 500 or a closed connection, each within seconds`, async () => {
  const random = dice(SEED + 1);
  const paths = [
    '/v2.1/servers',
    '/identity/v3/auth/tokens',
    '/image/v2/images',
    `/image/v2/images/${own.queued?.[0]}/file`,
    '/network/v2.0/ports',
    '/nothing',
    '/',
  ];
  const wrong: string[] = [];
  let answered = 0;
  const one = async () => {
    const bytes = rawRequest(random, { token: demo.token, path: random.pick(paths), body: spoil(random, random.pick(skeletons).body) });
    const { statuses, text } = await sendRaw(house.base, bytes, random.chance(0.2) ? 'cut' : 'end');
    answered += statuses.length;
    if (statuses.some(isFault)) wrong.push(`${JSON.stringify(bytes.subarray(0, 400).toString('latin1'))} -> ${text.slice(0, 300)}`);
    if (text.includes(SECRET)) wrong.push('leaks');
  };
  for (let sent = 0; sent < RAW; sent += 20) await Promise.all(Array.from({ length: 20 }, one));
  assert.deepEqual(wrong.slice(0, 10), [], `seed ${SEED}`);
  assert.ok(answered > RAW / 3, `${answered} answers`);
  assert.deepEqual(errorsLogged().slice(0, 5), []);
  assert.equal((await fetch(`${house.base}/healthz`)).status, 200);
});
