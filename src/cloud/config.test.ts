import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from './config.ts';

test('a config of an old Nova is understood, each old name with one warning', () => {
  const { settings, warnings } = readConfig(`
[DEFAULT]
sql_connection = mysql://nova:secret@db/nova
scheduler_max_attempts = 5
osapi_compute_workers = 12
enabled_apis = osapi_compute,metadata
ram_allocation_ratio = 1.5
[filter_scheduler]
ram_weight_multiplier = -1.0
`);
  assert.equal(settings.databaseUrl, 'mysql://nova:secret@db/nova');
  assert.equal(settings.maxAttempts, 5);
  assert.equal(settings.apiWorkers, 12);
  assert.deepEqual(settings.enabledApis, ['osapi_compute', 'metadata']);
  assert.equal(settings.ramRatio, 1.5);
  assert.equal(settings.ramWeight, -1);
  assert.equal(settings.cpuRatio, 4);
  assert.equal(warnings.length, 2);
});

test('a value that cannot be read is named with its section', () => {
  assert.throws(() => readConfig('[DEFAULT]\nosapi_compute_workers = 0'), /\[DEFAULT\] osapi_compute_workers = 0 must be at least 1/);
  assert.throws(() => readConfig('[scheduler]\nmax_attempts = many'), /\[scheduler\] max_attempts = many is not an integer/);
});
