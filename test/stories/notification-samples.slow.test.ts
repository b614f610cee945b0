import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../house/running.ts';
import { noCatalogue, notificationSample, shapeCheck } from '../support/catalogue.ts';
import { formFaults } from '../support/notice-forms.ts';
import { NULLABLE } from '../support/notification-nulls.ts';
import { hostEvents, serverEvents } from '../support/told-events.ts';
import { type Any, openVolumeWorld } from '../support/volume-world.ts';

const CONFIG = `
[DEFAULT]
reclaim_instance_interval = 3600
compute_monitors = cpu.virt_driver
volume_usage_poll_interval = 1
[oslo_messaging_notifications]
driver = log
[notifications]
notification_format = both
notify_on_state_change = vm_and_task_state
bdms_in_notifications = true
`;
test('every event of servers and hosts has the form of its sample, and says which volume and image it is about', {
  skip: noCatalogue,
}, async () => {
  const { compareShape } = await shapeCheck();
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-notices-'));
  const config = join(dir, 'nova.conf');
  writeFileSync(config, CONFIG);
  const world = await openVolumeWorld({ args: ['--hypervisor', 'fake', '--hosts', '2', '--config', config] });
  const heard = (versioned = true): Any[] =>
    readFileSync(join(world.house.dataDir, 'kilonova.log'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{') && line.includes('"notification"'))
      .map((line) => JSON.parse(line))
      .filter((line) => line.topic.startsWith('versioned') === versioned)
      .map((line) => line.notification);
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

    const aggregate = (await compute('POST /os-aggregates', { aggregate: { name: 'a' } }, '2.96', world.admin)).body.aggregate.id;
    await compute(`POST /os-aggregates/${aggregate}/action`, { add_host: { host: 'fake1' } }, '2.96', world.admin);
    const cache = await compute(`POST /os-aggregates/${aggregate}/images`, { cache: [{ id: world.imageId }] }, '2.96', world.admin);
    assert.equal(cache.status, 202);
    for (const [wish, method] of [
      ['abort', 'DELETE'],
      ['force', 'POST'],
    ]) {
      const slow = await world.boot({ metadata: { 'fake:migrateLive': 'slow:60000' } });
      await serverIs(slow, 'ACTIVE');
      await act(slow, { 'os-migrateLive': { host: null, block_migration: 'auto' } });
      let move: Any;
      await waitFor(
        async () => {
          [move] = (await compute(`GET /servers/${slow}/migrations`, undefined, '2.96', world.admin)).body.migrations;
          return move?.status === 'running';
        },
        10_000,
        () => `the migration is ${move?.status}`,
      );
      const place = `${method} /servers/${slow}/migrations/${move.id}${wish === 'force' ? '/action' : ''}`;
      const asked = await compute(place, wish === 'force' ? { force_complete: null } : undefined, '2.96', world.admin);
      assert.equal(asked.status, 202, JSON.stringify(asked.body));
      await serverIs(slow, 'ACTIVE');
      await act(slow, { forceDelete: null });
      await serverIs(slow, 'gone');
    }

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

    const { services } = (await compute('GET /os-services?binary=nova-compute', undefined, '2.96', world.admin)).body;
    const down = async (which: (host: string) => boolean) => {
      for (const service of services.filter((one: Any) => which(one.host)))
        assert.equal((await compute(`PUT /os-services/${service.id}`, { forced_down: true }, '2.96', world.admin)).status, 200);
    };
    const lost = await world.boot();
    const seen = await serverIs(lost, 'ACTIVE');
    const { server } = (await compute(`GET /servers/${seen.id}`, undefined, '2.96', world.admin)).body;
    await down((host) => host === server['OS-EXT-SRV-ATTR:host']);
    await act(lost, { evacuate: {} });
    await serverIs(lost, 'SHUTOFF');
    await down(() => true);
    await act(lost, { evacuate: {} });
    await serverIs(lost, 'ERROR');

    const missing = () => {
      const told = new Set(heard().map((one) => one.event_type));
      return [...serverEvents, ...hostEvents].filter((event) => !told.has(event));
    };
    await waitFor(
      () => missing().length === 0,
      10_000,
      () => `never told: ${missing().join(', ')}`,
    );
    const wrong: string[] = [];
    for (const said of heard()) {
      wrong.push(...formFaults({ event: said.event_type, priority: said.priority, publisher: said.publisher_id, payload: said.payload }));
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
    const old = heard(false);
    const oldEvents = new Set(old.map((one) => one.event_type));
    const wanted = ['compute.instance.exists', 'compute.instance.update', 'compute.instance.volume.attach', 'compute.metrics.update'];
    wanted.push('volume.usage', 'scheduler.select_destinations.end', 'compute_task.build_instances');
    assert.deepEqual(
      wanted.filter((event) => !oldEvents.has(event)),
      [],
    );
    assert.deepEqual(
      old.map((one) => one.publisher_id).filter((publisher) => !/^[a-z_]+\.[\w.-]+$/.test(publisher)),
      [],
    );
    const [measured] = old.filter((one) => one.event_type === 'compute.metrics.update').map((one) => one.payload);
    const percent = measured.metrics.find((one: Any) => one.name === 'cpu.idle.percent');
    assert.ok(percent.value >= 0 && percent.value <= 1, 'a share');
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
