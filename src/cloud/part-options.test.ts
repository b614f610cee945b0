import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from './config.ts';
import { agentOptions, moveOptions } from './part-options.ts';

const of = (text: string) => readConfig(text).settings;

test('intervals of an agent: as given, the usual one for 0, never for less', () => {
  const usual = agentOptions(of(''));
  assert.deepEqual([usual.syncMs, usual.inventoryMs, usual.imageCache.everyMs], [600_000, 60_000, 2_400_000]);
  assert.deepEqual(usual.runningDeleted, { action: 'reap', timeoutMs: 0, pollMs: 1_800_000 });
  assert.deepEqual([usual.resumeGuests, usual.liveMigrations], [false, 1]);
  const own = agentOptions(
    of(`sync_power_state_interval = -1
update_resources_interval = 5
running_deleted_instance_poll_interval = 0
running_deleted_instance_action = shutdown
running_deleted_instance_timeout = 30
resume_guests_state_on_host_boot = true
[image_cache]
manager_interval = -1
remove_unused_original_minimum_age_seconds = 0
[kilonova]
image_cache_limit_mb = 2`),
  );
  assert.deepEqual([own.syncMs, own.inventoryMs, own.resumeGuests], [0, 5000, true]);
  assert.deepEqual(own.runningDeleted, { action: 'shutdown', timeoutMs: 30_000, pollMs: 60_000 });
  assert.deepEqual(own.imageCache, { everyMs: 0, removeUnused: true, minimumAgeMs: 60_000, limitBytes: 2 * 1024 ** 2 });
});

test('where guests are taken in: nowhere else without an address, else the first free port of a range', () => {
  assert.ok(!('moves' in moveOptions(of(''))));
  const at = (ports: string) =>
    moveOptions(of(`[libvirt]\nlive_migration_inbound_addr = 10.0.0.1\n[kilonova]\nmigration_ports = ${ports}`));
  assert.deepEqual(at('49152-49160'), {
    ...at('0'),
    moves: { host: '10.0.0.1', firstPort: 49_152, lastPort: 49_160 },
  });
  const safe = '[libvirt]\nlive_migration_with_native_tls = true\n';
  assert.throws(() => moveOptions(of(safe)), /needs live_migration_inbound_addr/);
  assert.equal(moveOptions(of(`${safe}live_migration_inbound_addr = 10.0.0.1`)).movesTlsFolder, '/etc/pki/qemu');
  for (const ports of ['x', '5-', '10-5', '70000', '-1']) assert.throws(() => at(ports), /neither a port nor a range/);
});

test('words that are none are refused with what would be one', () => {
  assert.throws(() => agentOptions(of('running_deleted_instance_action = burn')), /none of reap, shutdown, log, noop/);
  assert.throws(() => moveOptions(of('[libvirt]\nlive_migration_timeout_action = wait')), /neither abort nor force_complete/);
});
