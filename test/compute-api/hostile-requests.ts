import assert from 'node:assert/strict';
import { computeRoutes } from '../../src/services/compute-api/app.ts';
import type { ComputeHouse } from '../support/compute-api.ts';
import { SERVER_UUID } from '../support/compute-world.ts';

/** A stream without an end has a story of its own (test/stories/server-changes.test.ts). */
export const hostileRoutes = Object.entries(computeRoutes).filter(
  ([key]) => key !== 'GET /servers/changes' && !key.includes(' /os-volumes_boot'),
); // another name of /servers
const VERSIONS = ['2.1', '2.53', '2.104'];
/** Values no field expects all of. */
const ODD: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 1e308, 2 ** 53, '', ' ', '0', '-1', '1e999', '\u{1f600}', 'x'.repeat(3000), [], [[]], {}],
  ...[{ '': '' }, { constructor: 1 }, ['x', 1, null], 'null', "'; drop table flavors; --", '%', '../..', '\\', '\u202e', '\ufffe', '９'],
];
// biome-ignore lint/suspicious/noExplicitAny: JSON schemas of any form
type Schema = any;
/** A body that has every field of a schema, each with a value of its first type. */
function plausible(schema: Schema): unknown {
  const type = Array.isArray(schema?.type) ? schema.type[0] : schema?.type;
  if (schema?.enum) return schema.enum[0];
  if (type === 'object')
    return Object.fromEntries(Object.entries<Schema>(schema.properties ?? {}).map(([key, below]) => [key, plausible(below)]));
  if (type === 'array') return [];
  return type === 'string' ? 'text' : type === 'boolean' ? true : 1;
}
/** The body with each of its places, one after the other, taken by an odd value. */
function* spoiled(body: unknown): Generator<unknown> {
  yield* ODD;
  if (body === null || typeof body !== 'object') return;
  for (const key of Object.keys(body)) {
    const value = (body as Record<string, unknown>)[key];
    for (const odd of spoiled(value)) yield { ...body, [key]: odd };
    const { [key]: _left, ...rest } = body as Record<string, unknown>;
    yield rest;
  }
}
export const filled = (key: string, part: string) => key.split('#')[0]?.replaceAll(/:[a-z_]+/g, encodeURIComponent(part)) ?? '';

export async function must(house: ComputeHouse, place: string, more: Parameters<ComputeHouse['ask']>[1], what: string) {
  const answer = await house.ask(place, more);
  assert.ok(answer.status < 500 || answer.status === 501, `${what}: ${place} answered ${answer.status} ${answer.text}`);
  return answer;
}

/** Every field of every body, spoiled in every way, at two versions: each `every`th of them. Answers how many were sent. */
export async function spoilBodies(house: ComputeHouse, every: number): Promise<number> {
  let asked = 0;
  let turn = 0;
  for (const [key, route] of hostileRoutes) {
    if (!route.body) continue;
    for (const at of ['2.1', '2.104'])
      for (const body of spoiled(plausible(route.body.schema(at as '2.1')))) {
        if (++turn % (at === '2.1' ? 3 * every : every) !== 0) continue; // the old version has few fields of its own
        await must(house, filled(key, key.includes(' /servers/') ? SERVER_UUID : '1'), { at, body }, JSON.stringify(body)?.slice(0, 200));
        asked++;
      }
  }
  return asked;
}

/** Odd path parts and queries of every route at three versions: each `every`th of them. Answers how many were sent. */
export async function spoilPlaces(house: ComputeHouse, every: number): Promise<number> {
  const parts = ['0', '-1', '1e99', '9'.repeat(30), 'x'.repeat(4000), '%', '\u0000', '\u{1f600}', "'", '..', 'null', 'a/b', '\ufffd', '٣'];
  const queries = [
    ...['limit=%ff', 'limit=1e9', `limit=${'9'.repeat(50)}`, 'limit=', 'limit', 'marker=%00', 'marker=%ed%a0%80', '=&=&&'],
    ...['__proto__=1', 'constructor=1'],
  ];
  let asked = 0;
  let turn = 0;
  const perhaps = async (...[place, more, what]: [string, Parameters<ComputeHouse['ask']>[1], string]) => {
    if (++turn % every !== 0) return;
    await must(house, place, more, what);
    asked++;
  };
  for (const [key] of hostileRoutes)
    for (const at of VERSIONS) {
      for (const part of parts)
        await perhaps(filled(key, part), { at, ...(/^(POST|PUT)/.test(key) ? { body: {} } : {}) }, part.slice(0, 20));
      if (key.startsWith('GET')) for (const query of queries) await perhaps(`${filled(key, '1')}?${query}`, { at }, query);
    }
  return asked;
}
