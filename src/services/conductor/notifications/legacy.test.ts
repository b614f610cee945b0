import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Notice, novaObject } from '../../../model/notices.ts';
import { legacyOf, legacyOfNoun } from './legacy.ts';

const notice = (event: string, publisher = 'nova-compute:host1', data: object = {}): Notice => ({
  event,
  priority: 'INFO',
  publisher,
  payload: novaObject('X', '1.0', data),
});

test('events of servers under the names that telemetry knows, from a publisher with a dot', () => {
  const old = (event: string) => legacyOf(notice(`instance.${event}`), {})?.event;
  for (const [event, name] of [
    ['create.end', 'create.end'],
    ['exists', 'exists'],
    ['resize_prep.start', 'resize.prep.start'],
    ['resize_finish.end', 'finish_resize.end'],
    ['live_migration_rollback.start', 'live_migration._rollback.start'],
    ['live_migration_rollback_dest.end', 'live_migration.rollback.dest.end'],
    ['rebuild_scheduled', 'rebuild.scheduled'],
    ['volume_attach.end', 'volume.attach'],
  ] as const)
    assert.equal(old(event), `compute.instance.${name}`);
  for (const event of ['volume_attach.start', 'lock', 'interface_attach.end', 'volume_swap.end']) assert.equal(old(event), undefined);
  assert.equal(legacyOf(notice('instance.exists'), {})?.publisher, 'compute.host1');
});

test('what the API tells of key pairs, groups and aggregates; flavors and services never had an old form', () => {
  const api = 'nova-api:api1';
  assert.deepEqual(legacyOfNoun(notice('keypair.create.end', api, { user_id: 'u', name: 'k' }), 'p'), {
    event: 'keypair.create.end',
    publisher: 'api.api1',
    payload: { tenant_id: 'p', user_id: 'u', key_name: 'k' },
  });
  const group = legacyOfNoun(notice('server_group.add_member', api, { uuid: 'g', members: ['s'] }), 'p');
  assert.deepEqual([group?.event, group?.publisher], ['servergroup.addmember', 'servergroup.api1']);
  assert.equal(legacyOfNoun(notice('aggregate.update_metadata.start', api), null)?.event, 'aggregate.updatemetadata.start');
  for (const event of ['flavor.create', 'service.update', 'compute.exception'])
    assert.equal(legacyOfNoun(notice(event, api), null), undefined);
});
