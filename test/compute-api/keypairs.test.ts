import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { type ComputeHouse, callers, openComputeHouse } from '../support/compute-api.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me';
/** From the API reference's own sample: a key with its fingerprint. */
const RSA =
  'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDx8nkQv/zgGgB4rMYmIf+6A4l6Rr+o/6lHBQdW5aYd44bd8JttDCE/F/pNRr0lRE+PiqSPO8nDPHw0010JeMH9gYgnnFlyY3/OcJ02RhIPyyxYpv9FhY+2YiUkpwFOcLImyrxEsYXpD/0d3ac30bNH6Sw9JD9UZHYcpSxsIbECHw== Generated-by-Nova';
const RSA_FINGERPRINT = '1e:2c:9b:56:79:4b:45:77:f9:ca:7a:98:2c:b0:d5:3c';

const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBcDCCARWgAwIBAgIUGdvspu5MnJ/GcuEA2Xs+LCci0eIwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAgFw0yNjExMjEwMjMzMzJaGA8yMTI2MTAyODAyMzMzMlow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJQ7uHpmZgbh
Fonnw308FyJRdGYpwARF1m0PBjLskCiHqdvcrBSf33hBUn0vUJGxRZiSyBPmlEt3
ab5XZZT+DdSjUzBRMB0GA1UdDgQWBBQ+ztlRxRpv0Q11dAqXhV878tSv8jAfBgNV
HSMEGDAWgBQ+ztlRxRpv0Q11dAqXhV878tSv8jAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0kAMEYCIQCpoWs+DNhWdL1P8th1VOr8nnVD/iktIuyoA6gy/4Yk
egIhAMV+7LLF7uEVOnr7VoOeFcsfZ1U/lAMWP57Mm19Fw00s
-----END CERTIFICATE-----
`;
const CERTIFICATE_FINGERPRINT = '5e:1b:6d:94:32:24:6b:74:cd:ce:b1:2b:7f:c2:79:69:e7:10:c5:9b'; // as `openssl x509 -fingerprint -sha1` says
/** A row of SSH strings, in base64. */
const blob = (...strings: (string | Buffer)[]) =>
  Buffer.concat(
    strings.flatMap((text) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(text));
      return [length, Buffer.from(text)];
    }),
  ).toString('base64');

let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse({ quotas: { key_pairs: 5 } });
});
after(() => house.close());

const create = (keypair: object, more: { as?: string; at?: string } = {}) =>
  house.ask('POST /os-keypairs', { as: 'demo', ...more, body: { keypair } });
const names = (answer: { body: { keypairs: { keypair: { name: string } }[] } }) => answer.body.keypairs.map(({ keypair }) => keypair.name);
const remove = (name: string, more: { as?: string; at?: string } = {}) =>
  house.ask(`DELETE /os-keypairs/${encodeURIComponent(name)}`, { as: 'demo', ...more });

test('an imported key: fingerprint, statuses by version, show, delete', async () => {
  const first = await create({ name: 'rsa', public_key: RSA });
  assert.equal(first.status, 200);
  assert.equal(first.body.keypair.fingerprint, RSA_FINGERPRINT);
  assert.equal(first.body.keypair.private_key, undefined);
  assert.equal(first.body.keypair.type, undefined);
  const second = await create({ name: 'ed', public_key: KEY, type: 'ssh' }, { at: '2.2' });
  assert.deepEqual([second.status, second.body.keypair.type], [201, 'ssh']);
  assert.equal((await create({ name: 'ed', public_key: KEY })).body.conflictingRequest.message, "Key pair 'ed' already exists.");
  const shown = (await house.ask('GET /os-keypairs/rsa', { as: 'demo' })).body.keypair;
  assert.deepEqual([shown.user_id, shown.public_key, shown.deleted], [callers.demo?.userId, RSA, false]);
  assert.match(shown.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
  assert.equal((await house.ask('GET /os-keypairs/rsa', { as: 'other' })).status, 404);
  assert.equal((await remove('rsa')).status, 202);
  assert.equal((await remove('ed', { at: '2.2' })).status, 204);
  assert.equal((await remove('ed', { at: '2.2' })).status, 404);
});

test('a generated key: RSA, its halves belong together, up to 2.91', async () => {
  const made = (await create({ name: 'made' }, { at: '2.91' })).body.keypair;
  assert.match(made.private_key, /^-----BEGIN RSA PRIVATE KEY-----\n/);
  assert.match(made.public_key, /^ssh-rsa \S+ Generated-by-Nova$/);
  assert.match(made.fingerprint, /^([0-9a-f]{2}:){15}[0-9a-f]{2}$/);
  const modulus = createPublicKey(createPrivateKey(made.private_key)).export({ format: 'jwk' }).n ?? '';
  const blob = Buffer.from(made.public_key.split(' ')[1], 'base64');
  assert.ok(blob.includes(Buffer.from(modulus, 'base64url')), 'the public half has the modulus of the private one');
  assert.equal((await house.ask('GET /os-keypairs/made', { as: 'demo' })).body.keypair.private_key, undefined);
  assert.equal((await create({ name: 'more' }, { at: '2.92' })).status, 400);
  await remove('made');
});

test('a generated certificate: its own key has signed it, the user is its subject, the private half is a PKCS #12 file', async () => {
  const made = await create({ name: 'win', type: 'x509' }, { at: '2.2' });
  assert.equal(made.status, 201);
  const { public_key, private_key, fingerprint, type } = made.body.keypair;
  const certificate = new X509Certificate(public_key);
  const user = callers.demo?.userId;
  assert.deepEqual([type, certificate.subject, certificate.issuer], ['x509', `CN=${user}`, `CN=${user}`]);
  assert.ok(certificate.verify(certificate.publicKey));
  assert.equal(fingerprint, certificate.fingerprint.toLowerCase());
  assert.equal(Date.parse(certificate.validTo) - Date.parse(certificate.validFrom), 3650 * 86_400_000);
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.modulusLength, 2048);
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.ok(certificate.raw.includes(Buffer.from(`${user}@localhost`)), 'the principal name');
  const file = Buffer.from(private_key, 'base64');
  assert.ok(file.includes(certificate.raw), 'the file holds the certificate');
  const secured = createSecureContext({ pfx: file, passphrase: '' });
  assert.ok(secured, 'its MAC and its key are read with the empty password, and the key fits the certificate');
  const broken = Buffer.from(file);
  const last = broken.length - 30;
  broken[last] = (broken[last] ?? 0) ^ 1;
  assert.throws(() => createSecureContext({ pfx: broken, passphrase: '' }));
  const shown = (await house.ask('GET /os-keypairs/win', { as: 'demo', at: '2.2' })).body.keypair;
  assert.deepEqual([shown.public_key, shown.type, shown.private_key], [public_key, 'x509', undefined]);
  assert.equal((await create({ name: 'win2', type: 'x509' }, { at: '2.92' })).status, 400);
  await remove('win', { at: '2.2' });
  const rows = await house.db.read.selectFrom('changes').select('body').where('key', '=', 'win').orderBy('id').execute();
  const notices = rows.map((row) => JSON.parse(row.body).notice);
  assert.deepEqual(
    notices.map((one) => one.event),
    ['keypair.create.start', 'keypair.create.end', 'keypair.delete.start', 'keypair.delete.end'],
  );
  const data = notices.map((one) => one.payload['nova_object.data']);
  assert.deepEqual(
    [data[0].fingerprint, data[0].public_key, data[1].fingerprint, data[3].public_key],
    [null, null, fingerprint, public_key],
  );
  assert.ok(!JSON.stringify(rows).includes(private_key.slice(0, 40)), 'the private half is told to nobody');
});

test('other sorts: certificates from 2.2 on, keys of FIDO tokens', async () => {
  const cert = await create({ name: 'cert', type: 'x509', public_key: CERTIFICATE }, { at: '2.2' });
  assert.deepEqual([cert.status, cert.body.keypair.type, cert.body.keypair.fingerprint], [201, 'x509', CERTIFICATE_FINGERPRINT]);
  const type = 'sk-ssh-ed25519@openssh.com';
  assert.equal((await create({ name: 'token', public_key: `${type} ${blob(type, Buffer.alloc(32, 1), 'ssh:')} me` })).status, 200);
  for (const wrong of [blob('ssh-ed25519', Buffer.alloc(32, 1), 'ssh:'), blob(type), blob(type, 'a', 'b').slice(0, -8), 'AAA='])
    assert.equal((await create({ name: 'wrong', public_key: `${type} ${wrong} me` })).status, 400);
  await remove('cert');
  await remove('token');
});

test('what is no key is refused, with the reason', async () => {
  for (const public_key of [
    '',
    'x',
    'ssh-rsa',
    'ssh-rsa AAAA',
    `ssh-rsa ${KEY.split(' ')[1]}`,
    `${KEY}\n${KEY}`,
    '-----BEGIN RSA PRIVATE KEY-----',
  ]) {
    const answer = await create({ name: 'bad', public_key });
    assert.equal(answer.status, 400, public_key);
    assert.match(answer.body.badRequest.message, /Keypair data is invalid/);
  }
  const cert = await create({ name: 'bad', type: 'x509', public_key: KEY }, { at: '2.2' });
  assert.match(cert.body.badRequest.message, /X509/);
  for (const name of ['', ' a', 'a ', 'a/b', 'a.b', 'ü', 'x'.repeat(256)])
    assert.equal((await create({ name, public_key: KEY })).status, 400, name);
  assert.equal((await create({ name: 'me@host.org', public_key: KEY }, { at: '2.91' })).status, 400);
  assert.equal((await create({ name: 'me@host.org', public_key: KEY }, { at: '2.92' })).status, 201);
  assert.equal((await remove('me@host.org', { at: '2.92' })).status, 204);
});

test('lists are sorted and, from 2.35 on, have pages', async () => {
  for (const name of ['c', 'a', 'b']) await create({ name, public_key: KEY });
  assert.deepEqual(names(await house.ask('GET /os-keypairs', { as: 'demo' })), ['a', 'b', 'c']);
  assert.deepEqual(names(await house.ask('GET /os-keypairs?limit=1&marker=a', { as: 'demo', at: '2.34' })), ['a', 'b', 'c']);
  const page = await house.ask('GET /os-keypairs?limit=1&marker=a', { as: 'demo', at: '2.35' });
  assert.deepEqual(names(page), ['b']);
  assert.equal(page.body.keypairs_links[0].href, `${house.origin}/v2.1/os-keypairs?limit=1&marker=b`);
  assert.equal((await house.ask('GET /os-keypairs?marker=zz', { as: 'demo', at: '2.35' })).status, 400);
  assert.equal((await house.ask('GET /os-keypairs?limit=-1', { as: 'demo', at: '2.35' })).status, 400);
  assert.equal((await house.ask('GET /os-keypairs?colour=red', { as: 'demo', at: '2.75' })).status, 400);
});

test('another user’s key pairs are for admins, from 2.10 on', async () => {
  const demo = callers.demo?.userId ?? '';
  assert.deepEqual(names(await house.ask(`GET /os-keypairs?user_id=${demo}`, { at: '2.10' })), ['a', 'b', 'c']);
  assert.deepEqual(names(await house.ask(`GET /os-keypairs?user_id=${demo}`, { at: '2.9' })), []);
  assert.equal((await house.ask(`GET /os-keypairs?user_id=${demo}`, { as: 'other', at: '2.10' })).status, 403);
  assert.equal((await house.ask(`GET /os-keypairs/a?user_id=${demo}`, { as: 'other', at: '2.10' })).status, 403);
  assert.equal((await house.ask(`DELETE /os-keypairs/a?user_id=${demo}`, { as: 'other', at: '2.10' })).status, 403);
  assert.equal((await create({ name: 'planted', public_key: KEY, user_id: demo }, { as: 'other', at: '2.10' })).status, 403);
  const given = await create({ name: 'given', public_key: KEY, user_id: demo }, { as: 'admin', at: '2.10' });
  assert.deepEqual([given.status, given.body.keypair.user_id], [201, demo]);
  assert.equal((await house.ask(`DELETE /os-keypairs/given?user_id=${demo}`, { at: '2.10' })).status, 204);
});

test('the quota is exact, also for many at once, and comes back with a delete', async () => {
  const race = await Promise.all(Array.from({ length: 12 }, (_, at) => create({ name: `race ${at}`, public_key: KEY })));
  const statuses = race.map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 200).length, 2); // three are there, five may be
  assert.equal(statuses.filter((status) => status === 403).length, 10);
  const refused = race.find(({ status }) => status === 403);
  assert.equal(refused?.body.forbidden.message, 'Quota exceeded, too many key pairs. Requested 1, but already used 5 of 5.');
  await remove('a');
  const [one, two] = await Promise.all([create({ name: 'last', public_key: KEY }), create({ name: 'last', public_key: KEY })]);
  assert.deepEqual([one.status, two.status].sort(), [200, 403]);
});
