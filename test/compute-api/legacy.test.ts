import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mustFit } from '../../src/http/validate.ts';
import { CloudError } from '../../src/model/errors.ts';
import { computeRoutes } from '../../src/services/compute-api/app.ts';
import { computeMicroversions } from '../../src/services/compute-api/microversions.ts';
import { noCatalogue, type Operation, operations, sample } from '../support/catalogue.ts';
import { openComputeHouse } from '../support/compute-api.ts';
import { furnish, SERVER_UUID } from '../support/compute-world.ts';

// biome-ignore lint/suspicious/noExplicitAny: JSON of any form
type Any = any;
const fits = (shape: Any, body: unknown, legacy: boolean) => mustFit(shape, '2.1', body, { legacy, known: computeMicroversions });

/** Places of a body where a schema lets nothing unknown in, as ways from its root, each with a key it does not know. */
function closedPlaces(
  schema: Any,
  value: Any,
  way: readonly (string | number)[] = [],
): { way: readonly (string | number)[]; key: string }[] {
  const found: { way: readonly (string | number)[]; key: string }[] = [];
  if (value === null || typeof value !== 'object' || !schema) return found;
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) found.push(...closedPlaces(schema.items, item, [...way, at]));
    return found;
  }
  const key = 'no\u0001such';
  const patterns = Object.keys(schema.patternProperties ?? {});
  if (schema.additionalProperties === false && !patterns.some((pattern) => new RegExp(pattern, 'u').test(key))) found.push({ way, key });
  for (const [name, below] of Object.entries(value)) found.push(...closedPlaces(schema.properties?.[name], below, [...way, name]));
  return found;
}
const put = (body: Any, way: readonly (string | number)[], key: string) => {
  const copy = structuredClone(body);
  let here = copy;
  for (const step of way) here = here[step];
  here[key] = { any: ['thing'] };
  return copy;
};

const hollow = (path: string) => path.replaceAll(/:[A-Za-z_]+|\{[^}]+\}/g, ':x');
function shapeOf({ method, path, action }: Operation): Any {
  const wanted = `${method} ${hollow(path)}${action ? `#${action}` : ''}`;
  const found = Object.entries(computeRoutes).find(([key, { since }]) => {
    const [place = '', word] = key.split('#');
    return since === undefined && `${hollow(place)}${word ? `#${word}` : ''}` === wanted;
  });
  return found?.[1].body;
}

describe('bodies on the legacy API', () => {
  test('each sample, with something unknown in each of its objects: taken out on /v2, refused on /v2.1', { skip: noCatalogue }, () => {
    const shapes = new Set<unknown>();
    let tried = 0;
    for (const operation of operations()) {
      const shape = shapeOf(operation);
      if (!shape || (operation.minMicroversion ?? '2.1') !== '2.1') continue;
      for (const { file, microversion } of operation.requestSamples) {
        if (microversion !== '2.1') continue;
        const body = sample(file) as Any;
        try {
          fits(shape, structuredClone(body), false);
        } catch {
          continue; // a sample with a later form
        }
        const places = closedPlaces(shape.schema('2.1'), body);
        for (const { way, key } of places) {
          const spoiled = put(body, way, key);
          const where = `${operation.id} /${way.join('/')}`;
          assert.throws(
            () => fits(shape, structuredClone(spoiled), false),
            (cause) => cause instanceof CloudError && cause.kind === 'invalid',
            where,
          );
          fits(shape, spoiled, true);
          assert.deepEqual(spoiled, body, where);
          tried++;
        }
        if (places.length > 0) shapes.add(shape);
      }
    }
    assert.ok(shapes.size >= 40, `only ${shapes.size} shapes`);
    assert.ok(tried > 80, `only ${tried} places`);
  });

  test('over HTTP: what is unknown is not stored, what is known is still judged', async () => {
    const house = await openComputeHouse();
    try {
      await furnish(house.db, house.clock);
      const place = `/servers/${SERVER_UUID}/metadata`;
      const metadata = { good: 'x', 'b@d': 5 };
      await house.db.transaction((tx) => tx.updateTable('servers').set({ launched_at: 1 }).execute());
      assert.equal((await house.ask(`POST ${place}`, { body: { metadata } })).status, 400);
      assert.deepEqual((await house.ask(`POST /v2${place}`, { body: { metadata, more: 1 } })).body, { metadata: { good: 'x' } });
      assert.equal((await house.ask(`POST /v2${place}`, { body: { metadata: { good: 5 } } })).status, 400);
      assert.equal((await house.ask(`POST /v2${place}`, { body: { more: 1 } })).status, 400);
      const server = { name: ' new name ', nonsense: { deep: true }, description: 'of 2.19' };
      assert.equal((await house.ask(`PUT /servers/${SERVER_UUID}`, { body: { server } })).status, 400);
      const renamed = await house.ask(`PUT /v2/servers/${SERVER_UUID}`, { body: { server } });
      assert.deepEqual([renamed.status, renamed.body.server.name], [200, 'new name']);
      const row = await house.db.read.selectFrom('servers').selectAll().where('uuid', '=', SERVER_UUID).executeTakeFirstOrThrow();
      assert.equal(row.description, null, 'a field of a later version is unknown too');
    } finally {
      await house.close();
    }
  });
});
