import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mustFit } from '../../../src/http/validate.ts';
import type { Version } from '../../../src/lib/shape.ts';
import { computeRoutes } from '../../../src/services/compute-api/app.ts';
import { askSpoilt } from './ask-spoilt.ts';
import { ALIAS, type Case, cases, findings, isNot, minor, NEWEST, pathFor } from './cases.ts';
import { openWorld, type World } from './world.ts';

const PATIENCE = { timeout: 600_000 };
let world: World;
before(async () => {
  world = await openWorld();
}, PATIENCE);
after(() => world.close());

// biome-ignore lint/suspicious/noExplicitAny: JSON schemas of any form
type Schema = any;
/** The versions at which a body's shape changes and those just before, within the life of its route. */
function versionsOf(one: Case): string[] {
  const route = computeRoutes[one.key];
  const [first, last] = [minor(route?.since ?? '2.1'), minor(route?.until ?? NEWEST)];
  const edges = (route?.body?.edges ?? []).map(minor).flatMap((edge) => [edge - 1, edge]);
  return [...new Set([first, ...edges, last])].filter((one) => one >= first && one <= last).map((one) => `2.${one}`);
}
/** A body as a version wants it, without what that does not know; undefined where it wants more, or another form. */
function bodyAt(one: Case, at: string): unknown {
  const shape = computeRoutes[one.key]?.body;
  if (!shape) return undefined;
  const body = known(shape.schema(at as Version), world.filled(one.row.body));
  try {
    mustFit(shape, at as Version, body, { legacy: false, known: undefined });
    return body;
  } catch {
    return undefined;
  }
}
/** What of a value a schema knows. */
function known(schema: Schema, value: unknown): unknown {
  const items: Schema = schema?.items ?? schema?.oneOf?.find((part: Schema) => part.items)?.items;
  if (Array.isArray(value) && items) return value.map((item) => known(items, item));
  if (value === null || typeof value !== 'object' || Array.isArray(value) || !schema?.properties) return value;
  const kept = Object.entries(value).filter(([key]) => key in schema.properties || schema.additionalProperties !== false);
  return Object.fromEntries(kept.map(([key, below]) => [key, known(schema.properties[key], below)]));
}

test('every field at every version at which its body changes', PATIENCE, async () => {
  const found = findings(world);
  const forms = new Set<string>();
  for (const one of cases) {
    const route = computeRoutes[one.key];
    if (!route?.body || one.key.includes(ALIAS)) continue;
    for (const at of versionsOf(one)) {
      const body = bodyAt(one, at);
      const form = `${one.key} ${at} ${JSON.stringify(body)?.replaceAll(/n-[0-9a-f-]{36}/g, '')}`;
      if (body === undefined || forms.has(form)) continue;
      forms.add(form);
      await askSpoilt(world, found, one, { at, body });
    }
  }
  assert.ok(forms.size > 150, `${forms.size} forms`);
  found.none(10_000);
});

const WELCOME =
  /^Additional properties are not allowed \('.+' was unexpected\)\. Microversions 2\.\d+ to 2\.\d+( and 2\.\d+ to 2\.\d+)* have it, this request asked for 2\.\d+$/;
test('a field that another version has is refused by a sentence that names the versions', PATIENCE, async () => {
  const found = findings(world);
  for (const one of cases) {
    const route = computeRoutes[one.key];
    if (!route?.body || one.key.includes(ALIAS)) continue;
    const whole = world.filled(one.row.body) as Record<string, Record<string, unknown>>;
    const [outer = ''] = Object.keys(whole);
    // An unshelve names a zone, or from 2.91 on a host instead: what is missing is told before what is too much.
    for (const at of versionsOf(one)) {
      const schema: Schema = route.body.schema(at as Version);
      const inner = schema.properties?.[outer];
      const body = bodyAt(one, at) as typeof whole | undefined;
      if (
        body === undefined ||
        outer === 'unshelve' ||
        inner?.additionalProperties !== false ||
        !inner.properties ||
        typeof whole[outer] !== 'object'
      )
        continue;
      for (const [field, value] of Object.entries(whole[outer] ?? {}))
        if (!(field in inner.properties)) {
          const sent = { ...body, [outer]: { ...body[outer], [field]: value } };
          await found.ask(
            `${one.key} ${field} at ${at}`,
            `${one.method} ${pathFor(world, one)}`,
            { as: one.row.as, at, body: sent },
            (answer) => isNot(400, answer) || (!WELCOME.test(answer.message) && 'does not say where it is welcome'),
          );
        }
    }
  }
  found.none(50);
});
