import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { type ComputeHouse, DEMO_PROJECT, openComputeHouse } from '../support/compute-api.ts';
import { furnish } from '../support/compute-world.ts';
import { filled, hostileRoutes, must as mustOf, spoilBodies, spoilPlaces } from './hostile-requests.ts';

let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse();
  await furnish(house.db, house.clock);
});
after(() => house.close());

const must = (...args: Tail<Parameters<typeof mustOf>>) => mustOf(house, ...args);
type Tail<T extends readonly unknown[]> = T extends readonly [unknown, ...infer R] ? R : never;

test('fields of every body, spoiled, at two versions: a share of them (the slow suite takes all)', async () => {
  const asked = await spoilBodies(house, 20);
  assert.ok(asked > 300, `only ${asked} bodies were sent`);
});

test('odd path parts, queries and versions', async () => {
  const asked = await spoilPlaces(house, 12);
  assert.ok(asked > 300, `only ${asked} places were asked`);
  for (const at of ['', '2', '2.', '.1', '-2.1', '2.1.1', '99999999999999999999.1', '2.99999999999999999999', 'latest latest', '2.1\t'])
    await must('GET /flavors', { headers: { 'openstack-api-version': `compute ${at}` } }, at);
});

test('bodies that are no JSON, or JSON of the worst sort', async () => {
  const deep = '['.repeat(40_000);
  const bodies: (string | Buffer)[] = [
    ...[
      '',
      '{',
      '}',
      'null',
      '"',
      '{"flavor": {"name": "\\ud83d"}}',
      '{"flavor": {"name": "\\u0000"}}',
      '{"flavor": {"__proto__": {"x": 1}}}',
    ],
    ...[
      deep,
      `${deep}${']'.repeat(40_000)}`,
      `{"flavor": ${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`,
      '{"flavor": 1e999}',
      '{"flavor": 1, "flavor": 2}',
    ],
    ...[Buffer.from([0xff, 0xfe, 0x7b]), Buffer.from('{"flavor": {"name": "\xff"}}', 'latin1'), Buffer.alloc(200_000, 0x20), '\ufeff{}'],
  ];
  for (const raw of bodies)
    for (const place of ['POST /flavors', 'POST /flavors/1/action', 'POST /flavors/1/os-extra_specs', 'POST /os-keypairs'])
      for (const type of ['application/json', 'text/plain', 'application/xml', 'x', '']) {
        const answer = await must(place, { raw, headers: { 'content-type': type } }, String(raw).slice(0, 40));
        assert.ok(answer.status >= 400, `${place} took ${String(raw).slice(0, 40)}`);
      }
});

test('wrong methods, tokens and heads', async () => {
  for (const method of ['PATCH', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'POST', 'PROPFIND', 'LINK'])
    for (const path of ['/', '/flavors', '/limits', '/nowhere', `/${DEMO_PROJECT}/flavors`]) await must(`${method} ${path}`, {}, method);
  for (const token of ['x'.repeat(15_000), "' or 1=1", '../admin', 'constructor', '__proto__', 'toString']) {
    const answer = await house.ask('GET /flavors', { as: token });
    assert.equal(answer.status, 401, token.slice(0, 20));
  }
});

/** Sends bytes as they are and answers the status line; null when the server just hung up. */
const raw = (bytes: string | Buffer) =>
  new Promise<string | null>((resolve, reject) => {
    const socket = connect(house.door.address.port, '127.0.0.1');
    let text = '';
    socket.setTimeout(5000, () => reject(new Error(`no answer to ${bytes.toString('latin1').slice(0, 60)}`)));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes('\r\n')) socket.destroy();
    });
    socket.on('close', () => resolve(text === '' ? null : (text.split('\r\n')[0] ?? '')));
    socket.on('error', () => resolve(null));
    socket.write(bytes);
  });

test('requests that are barely HTTP', async () => {
  const lines: (string | Buffer)[] = [
    ...['GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', 'GET /v2.1/%zz HTTP/1.1\r\nhost: x\r\n\r\n', 'GET //v2.1// HTTP/1.1\r\nhost: x\r\n\r\n'],
    ...[
      'GET /v2.1/flavors HTTP/1.1\r\n\r\n',
      'GET /v2.1/flavors HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n',
      `GET /v2.1/${'x'.repeat(60_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    ],
    ...[
      `GET /v2.1/flavors HTTP/1.1\r\nhost: x\r\nx-auth-token: ${'y'.repeat(70_000)}\r\n\r\n`,
      'GET http://evil/v2.1/flavors HTTP/1.1\r\nhost: x\r\n\r\n',
    ],
    ...[
      'GET /v2.1/flavors HTTP/1.1\r\nhost: <script>\r\nx-auth-token: admin\r\n\r\n',
      'POST /v2.1/flavors HTTP/1.1\r\nhost: x\r\nx-auth-token: admin\r\ncontent-length: -5\r\n\r\n',
    ],
    ...[
      'POST /v2.1/flavors HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      'GET /v2.1?\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n',
    ],
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x0d, 0x0a, 0x0d, 0x0a]),
    Buffer.from('GET /v2.1/flavors/\xff HTTP/1.1\r\nhost: x\r\nx-auth-token: admin\r\n\r\n', 'latin1'),
  ];
  for (const bytes of lines) {
    const status = await raw(bytes);
    assert.ok(status === null || /^HTTP\/1\.1 [234]\d\d/.test(status), `${bytes.toString('latin1').slice(0, 60)}: ${status}`);
  }
  assert.equal((await house.ask('GET /flavors')).status, 200);
});

test('nobody reads what is another’s', async () => {
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me';
  await house.ask('POST /os-keypairs', { as: 'demo', body: { keypair: { name: 'private-name', public_key: key } } });
  for (const [place] of hostileRoutes) {
    if (!place.startsWith('GET')) continue;
    for (const part of ['private-name', DEMO_PROJECT, '2'.repeat(32)])
      for (const query of ['', `?user_id=${'2'.repeat(32)}`, `?tenant_id=${DEMO_PROJECT}`, '?all_tenants=1']) {
        const answer = await must(`${filled(place, part)}${query}`, { as: 'other', at: '2.10' }, place);
        assert.doesNotMatch(answer.text, /AAAAC3NzaC1lZDI1NTE5/, `${place} ${query}`);
      }
  }
});
