import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastPeriod, readAuditUnit } from './audit-period.ts';

const period = (unit: string, before: string) => {
  const { begin, end } = lastPeriod(readAuditUnit(unit), Date.parse(`${before}Z`) * 1000);
  return [begin, end].map((at) => new Date(at / 1000).toISOString().slice(0, 16));
};

test('the last whole period: with its offset, over the ends of months and years, and at the very edge', () => {
  assert.deepEqual(period('hour', '2026-03-05T10:20:00'), ['2026-03-05T09:00', '2026-03-05T10:00']);
  assert.deepEqual(period('hour@30', '2026-03-05T00:20:00'), ['2026-03-04T22:30', '2026-03-04T23:30']);
  assert.deepEqual(period('day', '2026-03-01T10:20:00'), ['2026-02-28T00:00', '2026-03-01T00:00']);
  assert.deepEqual(period('day@18', '2026-03-01T10:20:00'), ['2026-02-27T18:00', '2026-02-28T18:00']);
  assert.deepEqual(period('month', '2026-01-20T10:20:00'), ['2025-12-01T00:00', '2026-01-01T00:00']);
  assert.deepEqual(period('month@15', '2026-01-14T10:20:00'), ['2025-11-15T00:00', '2025-12-15T00:00']);
  assert.deepEqual(period('year', '2026-01-20T10:20:00'), ['2025-01-01T00:00', '2026-01-01T00:00']);
  assert.deepEqual(period('year@3', '2026-01-20T10:20:00'), ['2024-03-01T00:00', '2025-03-01T00:00']);
  // A period that ends at this moment has not ended before it.
  assert.deepEqual(period('month', '2026-02-01T00:00:00'), ['2025-12-01T00:00', '2026-01-01T00:00']);
  assert.deepEqual(period('month', '2026-02-01T00:00:00.001'), ['2026-01-01T00:00', '2026-02-01T00:00']);
});

test('a period that is none is refused with a sentence', () => {
  for (const wrong of ['week', 'month@29', 'day@24', 'hour@60', 'year@13', 'month@x', ''])
    assert.throws(() => readAuditUnit(wrong), /instance_usage_audit_period is/);
  assert.deepEqual(readAuditUnit('month'), { unit: 'month', offset: 1 });
});
