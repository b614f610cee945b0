import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ActHouse, message, openActHouse } from './house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse({ hosts: 2 });
});
after(() => house.close());

const IMAGE = '00000000-0000-4000-8000-000000000000';
test('what would lose the secrets of a TPM is refused as Nova refuses it; a cold migration is not', async () => {
  const id = await house.boot();
  const { flavor } = await house.server(id);
  await house.put(id, { flavor: JSON.stringify({ ...flavor, extraSpecs: { 'hw:tpm_version': '2.0' } }) });
  for (const [operation, body, as] of [
    ['live-migration', { 'os-migrateLive': { host: null, block_migration: 'auto' } }, 'admin'],
    ['evacuate', { evacuate: {} }, 'admin'],
    ['shelve', { shelve: null }, 'demo'],
    ['rescue', { rescue: null }, 'demo'],
    ['rebuild', { rebuild: { imageRef: IMAGE } }, 'demo'],
  ] as const) {
    const refused = await house.act(id, body, { as, at: '2.34' });
    assert.deepEqual([refused.status, message(refused)], [409, `'${operation}' not supported for vTPM-enabled instance (${id}).`]);
    assert.equal((await house.server(id)).taskState, null);
  }
  assert.equal((await house.act(id, { migrate: null }, { as: 'admin', at: '2.34' })).status, 202);
  // It goes to hosts that have TPMs only.
  assert.match((await house.ended(id)).fault?.message ?? '', /COMPUTE_SECURITY_TPM_2_0/);
});
