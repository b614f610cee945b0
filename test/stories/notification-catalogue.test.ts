import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { catalogueFolder, noCatalogue } from '../support/catalogue.ts';
import { hostEvents, nounEvents, serverEvents } from '../support/told-events.ts';

test('every event of the catalogue is heard in a test, or docs/differences.md says why it cannot be', { skip: noCatalogue }, () => {
  const { events } = JSON.parse(readFileSync(join(catalogueFolder, 'notifications.json'), 'utf8')) as { events: { eventType: string }[] };
  const all = events.map((event) => event.eventType);
  const differences = readFileSync(join(import.meta.dirname, '../../docs/differences.md'), 'utf8').split('## Notifications')[1] ?? '';
  const excused = [...differences.matchAll(/`([a-z_]+(?:\.[a-z_]+)+(?:\.\*)?)`/g)].map((match) => match[1] ?? '');
  const isExcused = (event: string) => excused.some((name) => (name.endsWith('.*') ? event.startsWith(name.slice(0, -1)) : event === name));
  const told = new Set([...serverEvents, ...hostEvents, ...nounEvents]);
  assert.deepEqual(
    all.filter((event) => !told.has(event) && !isExcused(event)),
    [],
  );
  assert.deepEqual(
    [...told].filter((event) => !all.includes(event) || isExcused(event)),
    [],
    'told, and unknown to the catalogue or excused all the same',
  );
  assert.ok(all.length > 100);
});
