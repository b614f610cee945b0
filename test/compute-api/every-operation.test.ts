import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { computeRoutes } from '../../src/services/compute-api/app.ts';
import { noCatalogue, type Operation, operations } from '../support/catalogue.ts';
import { type ComputeHouse, openComputeHouse } from '../support/compute-api.ts';

/** Operations without a route as yet, by id or by group. May only shrink. */
const MISSING: readonly string[] = [];
/** Answered at the door, before the API: no route of its own. */
const AT_THE_DOOR = ['versions:list', 'versions:choices', 'versions:show-legacy', 'versions:redirect'];

const hollow = (path: string) => path.replaceAll(/:[A-Za-z_]+|\{[^}]+\}/g, ':x');
const known = new Set(
  Object.keys(computeRoutes).map((key) => {
    const [place = '', word] = key.split('#');
    return `${hollow(place)}${word ? `#${word}` : ''}`;
  }),
);
/** Upstream splits one route by literal ids. */
const split = /^\/os-services\/(enable|disable|disable-log-reason|force-down)$/;
function routesFor(operation: Operation): string[] {
  const path = operation.pathScope === 'absolute' ? operation.path.replace(/^\/v2\.1/, '') : operation.path;
  const place = `${operation.method} ${hollow(split.test(path) ? '/os-services/:id' : path)}`;
  return operation.action ? [`${place}#${operation.action}`] : [place];
}

describe('the catalogue of operations', { skip: noCatalogue }, () => {
  let house: ComputeHouse;
  before(async () => {
    house = await openComputeHouse();
  });
  after(() => house.close());

  test('each has a route', () => {
    const missing = operations()
      .filter(({ id }) => !AT_THE_DOOR.includes(id))
      .filter((operation) => !routesFor(operation).some((key) => known.has(key)))
      .map(({ id }) => id);
    const named = (id: string) => MISSING.find((entry) => entry === id || entry === id.split(':')[0]);
    assert.deepEqual(
      missing.filter((id) => !named(id)),
      [],
      'no route, and not known to be missing',
    );
    const needless = MISSING.filter((entry) => !missing.some((id) => named(id) === entry));
    assert.deepEqual(needless, [], 'have a route by now: take them from the list');
  });

  test('what is gone answers so, whatever the version, and only to whom has a token', async () => {
    const gone = operations().filter(({ removed }) => removed !== undefined);
    assert.equal(gone.length, 54);
    for (const { id, method, path, action, removed } of gone) {
      const place = `${method} ${path.replaceAll(/\{[^}]+\}/g, '1')}`;
      const body = method === 'POST' || method === 'PUT' ? { [action ?? 'anything']: null } : undefined;
      for (const at of [undefined, '2.1', '2.30', '2.104']) {
        const answer = await house.ask(place, { as: 'demo', at, body });
        assert.equal(answer.status, removed?.status, `${id} at ${at}: ${answer.text}`);
        const key = removed?.status === 410 ? 'computeFault' : 'badRequest';
        assert.equal(answer.body[key].code, removed?.status, id);
      }
      assert.equal((await house.ask(place.replace(' ', ' /v2'), { body })).status, removed?.status, id);
      assert.equal((await house.ask(place, { as: null, body })).status, 401, id);
    }
  });
});
