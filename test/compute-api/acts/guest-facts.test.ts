import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { GuestCells } from '../../../src/bus/contracts/guest-cells.ts';
import { againstFields, fieldFacts, noCatalogue, rangeAt } from '../../support/catalogue.ts';
import { type ActHouse, message, openActHouse } from './house.ts';

let house: ActHouse;
/** What a host tells of a guest's memory cells. */
let cells: GuestCells | null = null;
before(async () => {
  house = await openActHouse({ parts: { guestCells: async () => cells } });
});
afterEach(() => house.wipe());
after(() => house.close());

test('diagnostics: the old form names devices, the one of 2.48 is the same for all', async () => {
  const id = await house.boot();
  const old = await house.ask(`GET /servers/${id}/diagnostics`, { as: 'admin' });
  assert.equal(old.status, 200, old.text);
  assert.deepEqual([old.body.memory, old.body.vda_read, old.body.vnet1_rx, old.body.cpu0_time], [512 * 1024, 0, 0, 0]);
  const { body } = await house.ask(`GET /servers/${id}/diagnostics`, { as: 'admin', at: '2.48' });
  assert.deepEqual(
    [body.state, body.driver, body.num_cpus, body.num_nics, body.num_disks, body.memory_details.maximum],
    ['running', 'libvirt', 1, 1, 1, 512],
  );
  assert.equal(body.nic_details[0].mac_address, 'fa:16:3e:00:00:01');
  assert.equal((await house.ask(`GET /servers/${id}/diagnostics`)).status, 403);
  assert.equal((await house.ask(`GET /servers/${id}/diagnostics?x=1`, { as: 'admin', at: '2.102' })).status, 400);
});

test('diagnostics are of guests that run, on hosts that answer', async () => {
  const id = await house.boot('stopped');
  const off = await house.ask(`GET /servers/${id}/diagnostics`, { as: 'admin' });
  assert.deepEqual([off.status, /power state shutdown/.test(message(off))], [409, true]);
  await house.put(id, { host: null });
  const nowhere = await house.ask(`GET /servers/${id}/diagnostics`, { as: 'admin' });
  assert.deepEqual([nowhere.status, message(nowhere)], [409, `Instance ${id} is not ready`]);
  assert.equal((await house.ask('GET /servers/00000000-0000-4000-8000-000000000000/diagnostics', { as: 'admin' })).status, 404);
});

test('topology: of 2.78; guests without NUMA nodes name none', async () => {
  const id = await house.boot();
  assert.equal((await house.ask(`GET /servers/${id}/topology`, { at: '2.77' })).status, 404);
  for (const as of ['demo', 'admin'])
    assert.deepEqual((await house.ask(`GET /servers/${id}/topology`, { at: '2.78', as })).body, { nodes: [], pagesize_kb: null });
  assert.equal((await house.ask(`GET /servers/${id}/topology`, { at: '2.78', as: 'other' })).status, 404);
  assert.equal((await house.ask(`GET /servers/${id}/topology?x=1`, { at: '2.102' })).status, 400);
});

test('topology: cells that flavor and image ask for; where they stand only for admins and while the host tells', async () => {
  const extra = { 'hw:numa_nodes': '2', 'hw:cpu_policy': 'dedicated', 'hw:mem_page_size': '2048' };
  const id = await house.boot();
  const server = await house.server(id);
  await house.put(id, { flavor: JSON.stringify({ ...server.flavor, vcpus: 2, memoryMiB: 256, extraSpecs: extra }) });
  const wished = [0, 1].map((cpu) => ({ memory_mb: 128, siblings: [], vcpu_set: [cpu] }));
  assert.deepEqual((await house.ask(`GET /servers/${id}/topology`, { at: '2.78' })).body, { nodes: wished, pagesize_kb: 2048 });
  cells = {
    pageKiB: 2048,
    cells: [0, 1].map((cpu) => ({ cpus: [cpu], memoryMiB: 128, hostCell: 1 - cpu, pins: [[cpu, 4 + cpu]], siblings: [[cpu]] })),
  };
  const own = await house.ask(`GET /servers/${id}/topology`, { at: '2.78' });
  assert.deepEqual(own.body.nodes[0], { memory_mb: 128, siblings: [[0]], vcpu_set: [0] });
  const { body } = await house.ask(`GET /servers/${id}/topology`, { at: '2.78', as: 'admin' });
  assert.deepEqual(body.nodes[1], { memory_mb: 128, siblings: [[1]], vcpu_set: [1], host_node: 0, cpu_pinning: { 1: 5 } });
  cells = null;
});

test('shares: of 2.97; none can be attached here, and what is refused before is refused as ever', async () => {
  const id = await house.boot();
  const share = 'e8debdc0-447a-4376-a10a-4cd9122d7986';
  const at = '2.97';
  const path = `/servers/${id}/shares`;
  assert.equal((await house.ask(`GET ${path}`, { at: '2.96' })).status, 404);
  assert.deepEqual((await house.ask(`GET ${path}`, { at })).body, { shares: [] });
  assert.equal((await house.ask(`GET ${path}?x=1`, { at })).status, 400);
  assert.equal((await house.ask(`GET ${path}/${share}`, { at })).status, 404);
  const attach = (body: object, as = 'demo') => house.ask(`POST ${path}`, { at, body, as });
  assert.equal((await attach({ share: { share_id: share } })).status, 409, 'it runs');
  for (const wrong of [
    {},
    { share: {} },
    { share: { share_id: 'x' } },
    { share: { share_id: share, tag: '' } },
    { share: { share_id: share, tag: 'a b' } },
  ])
    assert.equal((await attach(wrong)).status, 400, JSON.stringify(wrong));
  assert.equal((await house.ask(`DELETE ${path}/${share}`, { at })).status, 409);
  await house.put(id, { vm_state: 'stopped' });
  const refused = await attach({ share: { share_id: share, tag: 'mine' } });
  assert.deepEqual([refused.status, /no shared file system service/.test(message(refused))], [403, true]);
  assert.equal((await attach({ share: { share_id: share } }, 'other')).status, 404);
  assert.equal((await house.ask(`DELETE ${path}/${share}`, { at })).status, 404);
});

test('a share that stands in the table is shown, with its place to admins', async () => {
  const id = await house.boot();
  const share = 'e8debdc0-447a-4376-a10a-4cd9122d7986';
  await house.db.transaction((tx) =>
    tx
      .insertInto('server_shares')
      .values({
        uuid: '68ba1762-fd6d-4221-8311-f3193dd93404',
        server_uuid: id,
        share_id: share,
        status: 'inactive',
        tag: share,
        export_location: '10.0.0.50:/mnt/foo',
        share_proto: 'NFS',
        created_at: 1,
        updated_at: null,
      })
      .execute(),
  );
  const plain = { share_id: share, status: 'inactive', tag: share };
  assert.deepEqual((await house.ask(`GET /servers/${id}/shares`, { at: '2.97' })).body, { shares: [plain] });
  assert.deepEqual((await house.ask(`GET /servers/${id}/shares/${share}`, { at: '2.97' })).body, { share: plain });
  assert.deepEqual((await house.ask(`GET /servers/${id}/shares/${share}`, { at: '2.97', as: 'admin' })).body, {
    share: { ...plain, uuid: '68ba1762-fd6d-4221-8311-f3193dd93404', export_location: '10.0.0.50:/mnt/foo' },
  });
});

test('answers are what the catalogue says', { skip: noCatalogue }, async () => {
  const id = await house.boot();
  const facts = fieldFacts();
  for (const [operation, path] of [
    ['server-diagnostics:index', 'diagnostics'],
    ['server-topology:index', 'topology'],
    ['server-shares:index', 'shares'],
  ] as const)
    for (const { min } of facts[operation]?.response ?? []) {
      const answer = await house.ask(`GET /servers/${id}/${path}`, { at: min, as: 'admin' });
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(againstFields(rangeAt(facts[operation]?.response, min)?.fields ?? {}, answer.body), [], `${path} at ${min}`);
    }
});
