import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { formats } from '../../src/http/formats.ts';
import type { Shape } from '../../src/lib/shape.ts';

const isShape = (value: unknown): value is Shape<unknown> =>
  typeof value === 'object' && value !== null && 'schema' in value && typeof value.schema === 'function' && 'edges' in value;

// The running program does not hold its own shapes against JSON schema's rules: it would cost at every start.
test('each shape is a good JSON schema in each version in which it changes', async () => {
  const ajv = new Ajv({ strict: false, formats });
  let seen = 0;
  for (const file of globSync('src/services/*/shapes/*.ts')) {
    const room: Record<string, unknown> = await import(resolve(join(import.meta.dirname, '../..', file)));
    for (const [name, shape] of Object.entries(room)) {
      if (!isShape(shape)) continue;
      for (const version of new Set(['2.1', ...shape.edges, '2.104'] as const)) {
        assert.ok(ajv.validateSchema(shape.schema(version)), `${file} ${name} at ${version}: ${ajv.errorsText(ajv.errors)}`);
        seen++;
      }
    }
  }
  assert.ok(seen > 30, `${seen} seen`);
});
