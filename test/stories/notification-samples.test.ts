import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../house/running.ts';
import { noCatalogue, notificationSample, shapeCheck } from '../support/catalogue.ts';
import { NULLABLE } from '../support/notification-nulls.ts';
import { type Any, openVolumeWorld } from '../support/volume-world.ts';

const CONFIG = `
[DEFAULT]
reclaim_instance_interval = 3600
[oslo_messaging_notifications]
driver = log
[notifications]
notification_format = versioned
notify_on_state_change = vm_and_task_state
bdms_in_notifications = true
`;
/** Every event of servers that can happen on a cloud of fake hosts. */
const EXPECTED = [
  ...['create', 'reboot', 'rebuild', 'volume_attach', 'volume_swap', 'interface_attach', 'resize'].flatMap((word) =>
    ['start', 'end', 'error'].map((phase) => `${word}.${phase}`),
  ),
  ...'delete soft_delete restore power_on power_off pause unpause suspend resume rescue unrescue trigger_crash_dump snapshot volume_detach interface_detach shutdown'
    .split(' ')
    .concat('resize_prep resize_finish resize_confirm resize_revert shelve shelve_offload unshelve live_migration_pre'.split(' '))
    .concat('live_migration_post live_migration_post_dest live_migration_rollback_dest'.split(' '))
    .flatMap((word) => ['start', 'end'].map((phase) => `${word}.${phase}`)),
  'rebuild_scheduled',
  'lock',
  'unlock',
  'update',
].map((event) => `instance.${event}`);

test('every event of a server has the form of its sample, and says which volume and image it is about', { skip: noCatalogue }, async () => {
  const { compareShape } = await shapeCheck();
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-notices-'));
  const config = join(dir, 'nova.conf');
  writeFileSync(config, CONFIG);
  const world = await openVolumeWorld({ args: ['--hypervisor', 'fake', '--hosts', '2', '--config', config] });
  const heard = (): Any[] =>
    readFileSync(join(world.house.dataDir, 'kilonova.log'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{') && line.includes('"notification"'))
      .map((line) => JSON.parse(line).notification);
  try {
    const { compute, serverIs, ended } = world;
    const act = async (id: string, body: Any) => {
      const answer = await compute(`POST /servers/${id}/action`, body, '2.96', world.admin);
      assert.ok(answer.status < 300, `${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`);
      return answer.body;
    };
    const turn = async (id: string, action: string, status: string, body: Any = null) => {
      const said = await act(id, { [action]: body });
      await serverIs(id, status);
      return said;
    };
    const id = await world.boot({ networks: 'auto', tags: ['a'] });
    await serverIs(id, 'ACTIVE');
    await turn(id, 'os-stop', 'SHUTOFF');
    await turn(id, 'os-start', 'ACTIVE');
    await turn(id, 'reboot', 'ACTIVE', { type: 'HARD' });
    await turn(id, 'pause', 'PAUSED');
    await turn(id, 'unpause', 'ACTIVE');
    await turn(id, 'suspend', 'SUSPENDED');
    await turn(id, 'resume', 'ACTIVE');
    await turn(id, 'rescue', 'RESCUE', { rescue_image_ref: world.imageId });
    await turn(id, 'unrescue', 'ACTIVE');
    await act(id, { trigger_crash_dump: null });
    await ended(id, 'trigger_crash_dump');
    await turn(id, 'rebuild', 'ACTIVE', { imageRef: world.imageId });
    await act(id, { lock: null });
    await act(id, { unlock: null });
    const { image_id } = await turn(id, 'createImage', 'ACTIVE', { name: 'copy' });
    const nics = `/servers/${id}/os-interface`;
    const { interfaceAttachment } = (await compute(`POST ${nics}`, { interfaceAttachment: {} }, '2.96', world.demo)).body;
    await compute(`DELETE ${nics}/${interfaceAttachment.port_id}`);
    await ended(id, 'detach_interface');
    const [volume, next] = [await world.makeVolume(), await world.makeVolume()];
    await world.attach(id, volume);
    const swap = async (server: string) => {
      await world.volumes(`POST /volumes/${volume}/action`, { 'os-reset_status': { migration_status: 'migrating' } }, world.admin);
      const place = `/servers/${server}/os-volume_attachments/${volume}`;
      assert.equal((await compute(`PUT ${place}`, { volumeAttachment: { volumeId: next } }, '2.96', world.admin)).status, 202);
      await ended(server, 'swap_volume');
      await world.volumes(`POST /volumes/${volume}/action`, { 'os-reset_status': { migration_status: 'none' } }, world.admin);
    };
    await swap(id);
    await compute(`DELETE /servers/${id}/os-volume_attachments/${next}`);
    await world.volumeIs(next, 'available');
    await world.volumeIs(volume, 'available');
    await turn(id, 'migrate', 'VERIFY_RESIZE');
    await turn(id, 'confirmResize', 'ACTIVE');
    await turn(id, 'resize', 'VERIFY_RESIZE', { flavorRef: '2' });
    await turn(id, 'revertResize', 'ACTIVE');
    await act(id, { 'os-migrateLive': { host: null, block_migration: 'auto' } });
    await ended(id, 'live-migration');
    await serverIs(id, 'ACTIVE');
    await turn(id, 'shelve', 'SHELVED_OFFLOADED');
    await turn(id, 'unshelve', 'ACTIVE');
    await compute(`DELETE /servers/${id}`);
    await waitFor(
      async () => (await compute(`GET /servers/${id}`, undefined, '2.96', world.admin)).body.server?.status === 'SOFT_DELETED',
      10_000,
      () => 'it is not softly deleted',
    );
    await turn(id, 'restore', 'ACTIVE');
    await act(id, { forceDelete: null });
    await serverIs(id, 'gone');

    const fails = ['attachVolume', 'swapVolume', 'reboot', 'attachNic', 'migrateLive', 'fetchDisks'].map((deed) => [
      `fake:${deed}`,
      'fail',
    ]);
    const bad = await world.boot();
    await serverIs(bad, 'ACTIVE');
    await world.attach(bad, volume);
    await compute(`POST /servers/${bad}/metadata`, { metadata: Object.fromEntries(fails) });
    await turn(bad, 'rebuild', 'ACTIVE', { imageRef: world.imageId }); // the guest learns its metadata
    await swap(bad);
    await compute(`POST /servers/${bad}/os-volume_attachments`, { volumeAttachment: { volumeId: next } });
    await ended(bad, 'attach_volume');
    await compute(`POST /servers/${bad}/os-interface`, { interfaceAttachment: {} });
    await act(bad, { 'os-migrateLive': { host: null, block_migration: 'auto' } });
    await ended(bad, 'live-migration');
    await serverIs(bad, 'ACTIVE');
    await act(bad, { migrate: null });
    await ended(bad, 'migrate');
    await serverIs(bad, 'ACTIVE');
    await act(bad, { reboot: { type: 'HARD' } });
    await ended(bad, 'reboot');
    const worse = await world.boot();
    await serverIs(worse, 'ACTIVE');
    await compute(`POST /servers/${worse}/metadata`, { metadata: { 'fake:spawn': 'fail' } });
    await act(worse, { rebuild: { imageRef: world.imageId } });
    await serverIs(worse, 'ERROR');
    const never = await world.boot({ metadata: { 'fake:spawn': 'fail' } });
    await serverIs(never, 'ERROR');
    await act(never, { forceDelete: null });
    await serverIs(never, 'gone');

    const missing = () => {
      const told = new Set(heard().map((one) => one.event_type));
      return EXPECTED.filter((event) => !told.has(event));
    };
    await waitFor(
      () => missing().length === 0,
      10_000,
      () => `never told: ${missing().join(', ')}`,
    );
    const wrong: string[] = [];
    for (const said of heard()) {
      if (!said.event_type.startsWith('instance.')) continue;
      const sample = notificationSample(`${said.event_type.replaceAll('.', '-')}.json`) as { payload: object } | undefined;
      if (!sample) {
        wrong.push(`${said.event_type} has no sample`);
        continue;
      }
      const free = { freeKeyNames: ['metadata', 'extra_specs', 'meta'], nullable: NULLABLE };
      for (const { kind, pointer } of compareShape(sample.payload, said.payload, free))
        wrong.push(`${said.event_type}: ${kind} ${pointer}`);
    }
    assert.deepEqual([...new Set(wrong)], []);
    const words = (event: string, server: string, word: string) => [
      ...new Set(
        heard()
          .filter((one) => one.event_type.startsWith(`instance.${event}.`))
          .map((one) => one.payload['nova_object.data'])
          .filter((one) => one.uuid === server)
          .map((one) => one[word]),
      ),
    ];
    assert.deepEqual(words('volume_attach', id, 'volume_id'), [volume]);
    assert.deepEqual(words('volume_detach', id, 'volume_id'), [next]);
    assert.deepEqual([words('volume_swap', id, 'old_volume_id'), words('volume_swap', id, 'new_volume_id')], [[volume], [next]]);
    assert.deepEqual([words('volume_swap', bad, 'old_volume_id'), words('volume_swap', bad, 'new_volume_id')], [[volume], [next]]);
    assert.deepEqual(
      words('snapshot', id, 'snapshot_image_id').filter((one) => one === image_id),
      [image_id],
    );
    const flavors = words('resize_prep', id, 'new_flavor').map((one) => one['nova_object.data'].flavorid);
    assert.deepEqual([...new Set(flavors)], ['1', '2'], 'of the migration, then of the resize');
    assert.deepEqual(words('rescue', id, 'rescue_image_ref'), [world.imageId]);
  } finally {
    await world.house.remove();
    rmSync(dir, { recursive: true });
  }
});
