import type { House } from '../house/running.ts';
import { type Case, type Catalogue, casesOf, judge } from './cases.ts';
import { leftOut, type Recipe } from './recipe.ts';
import { resourceRecipes } from './recipes-resources.ts';
import { serverRecipes } from './recipes-servers.ts';
import { openWorld } from './world.ts';

const recipes: Readonly<Record<string, Recipe>> = { ...resourceRecipes, ...serverRecipes };

export interface Tally {
  readonly operation: string;
  readonly passed: number;
  readonly failed: readonly string[];
}

/** Sends every request there is to send to a running cloud and holds each answer against the catalogue. `only`: parts of operation names. */
export async function runConformance(
  house: House,
  catalogue: Catalogue,
  only: readonly string[],
  told: (tally: Tally) => void,
): Promise<readonly Tally[]> {
  const world = await openWorld(house);
  const tallies: Tally[] = [];
  for (const operation of catalogue.operations) {
    if (only.length > 0 && !only.some((word) => operation.id.includes(word))) continue;
    if (leftOut[operation.id]) continue;
    let passed = 0;
    const failed: string[] = [];
    for (const one of operation.removed ? removed(operation.id, catalogue) : casesOf(operation, catalogue)) {
      if (!operation.removed && one.statuses.length === 0) continue; // it never succeeds
      const wrong = await send(one).catch((cause: unknown) => [`could not be asked: ${cause instanceof Error ? cause.message : cause}`]);
      if (wrong.length === 0) passed++;
      else failed.push(`${one.version} ${one.file} ${wrong.slice(0, 3).join('; ')}`);
    }
    const tally = { operation: operation.id, passed, failed };
    tallies.push(tally);
    told(tally);
  }
  return tallies;

  async function send(one: Case): Promise<string[]> {
    const { operation, version } = one;
    const recipe = recipes[operation.id];
    if (!recipe && !operation.removed) return ['nobody knows how to ask for it'];
    const request = recipe
      ? await recipe(world, version, one.body, one.file)
      : {
          place: `${operation.method} ${operation.path.replaceAll(/\{[^}]+\}/g, 'some')}`,
          body: operation.action ? { [operation.action]: {} } : one.body,
        };
    const needsBody = ['POST', 'PUT'].includes(operation.method);
    const answer = await world.ask(request.place, {
      at: version,
      ...(request.body !== undefined ? { body: request.body } : needsBody ? { body: {} } : {}),
    });
    const wrong = judge(one, answer.status, answer.body, answer.text, catalogue);
    await request.after?.().catch(() => undefined);
    return wrong;
  }
}

/** Operations that are gone answer so at every version. */
function removed(id: string, catalogue: Catalogue): Case[] {
  const operation = catalogue.operations.find((one) => one.id === id);
  if (!operation?.removed) return [];
  const { status } = operation.removed;
  return ['2.1', '2.104'].map((version) => ({ operation, version, file: '', body: undefined, statuses: [status], answers: [] }));
}
