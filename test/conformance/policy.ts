import type { House } from '../house/running.ts';
import { type Catalogue, casesOf, type Operation } from './cases.ts';
import { leftOut, type Recipe } from './recipe.ts';
import { resourceRecipes } from './recipes-resources.ts';
import { serverRecipes } from './recipes-servers.ts';
import { openWorld } from './world.ts';

const recipes: Readonly<Record<string, Recipe>> = { ...resourceRecipes, ...serverRecipes };
/** Rules that guard a part of a request or of an answer, not the operation. */
const PARTS =
  /os-extended-server-attributes|flavor-extra-specs|host_status|get_all_tenants|allow_all_filters|forced_host|requested_destination|attach_volume$|attach_network|trusted_certs|zero_disk|external_network|all_projects|:host$|:host:index|cross_cell|volume_backed|unlock_override|unshelve_to_host|:events|:swap|other_project|tenant-network/;
const personas = ['reader', 'member', 'manager', 'service', 'admin', 'other', 'nobody'] as const;
export type Persona = (typeof personas)[number];

/** The rule that guards an operation as a whole, by the catalogue; undefined when it is guarded elsewhere. */
export function ruleOf(operation: Operation): string | undefined {
  if (operation.id.startsWith('flavors:') && operation.method === 'GET') return undefined; // the one rule there hides a field
  const own = operation.policies.length === 1 ? operation.policies[0] : operation.policies.find(({ rule }) => !PARTS.test(rule));
  return own?.default;
}

const rank: Readonly<Partial<Record<Persona, number>>> = { reader: 1, member: 2, manager: 3, admin: 4 };
const least: Readonly<Record<string, number>> = { reader: 1, member: 2, manager: 3 };
/** Whether a rule's default lets somebody through who acts in the project that owns the object. */
function lets(rule: string, persona: Persona): boolean {
  if (persona === 'nobody' || rule === '!') return false;
  if (rule === '@' || rule === '') return true;
  return rule.split(' or ').some((part) => {
    const word = part.trim().replace(/^\(|\)$/g, '');
    if (/context_is_admin/.test(word)) return persona === 'admin';
    if (/service_or_admin|service_api/.test(word)) return persona === 'service' || persona === 'admin';
    if (/user_id/.test(word)) return true; // their own key pairs
    const role = /project_(reader|member|manager)(_or_admin|_api)/.exec(word)?.[1];
    return role !== undefined && (rank[persona === 'other' ? 'member' : persona] ?? 0) >= (least[role] ?? 9);
  });
}
/** Whether the object asked for is one of the project in which it was made: another project must not find it. */
/** Networks that are asked for are shared ones. */
const isOwned = (operation: Operation) =>
  operation.path.includes('{') && !/^(flavors|flavor-|keypairs|extensions|os-networks|os-tenant-networks)/.test(operation.id);

/** Asks for every operation as everybody; answers what differs from the catalogue's policies, and how many questions were asked. */
export async function runPolicyMatrix(house: House, catalogue: Catalogue): Promise<{ asked: number; wrong: readonly string[] }> {
  const world = await openWorld(house);
  const tokens: Record<Persona, string> = {
    reader: await world.persona('reader'),
    member: await world.persona('member'),
    manager: await world.persona('manager'),
    service: await world.persona('service'),
    admin: await world.persona('admin'),
    other: await world.persona('member', 'demo'),
    nobody: '',
  };
  let asked = 0;
  const wrong: string[] = [];
  for (const operation of catalogue.operations) {
    const rule = ruleOf(operation);
    const recipe = recipes[operation.id];
    if (operation.removed || leftOut[operation.id] || rule === undefined || !recipe) continue;
    // Naming a host needs a right of its own.
    const one = casesOf(operation, catalogue).findLast(({ file }) => !/with-(only-)?(host|node)/.test(file));
    if (!one || one.statuses.length === 0) continue;
    let request: Awaited<ReturnType<Recipe>>;
    try {
      request = await recipe(world, one.version, one.body, one.file);
    } catch (cause) {
      wrong.push(`${operation.id}: could not be prepared: ${cause instanceof Error ? cause.message : cause}`);
      continue;
    }
    // Each asks for what is their own.
    const wish = request.body as { keypair?: { user_id?: string } } | undefined;
    if (wish?.keypair) delete wish.keypair.user_id;
    const place = operation.id === 'os-quota-sets:show' ? `GET /os-quota-sets/${world.project}` : request.place;
    const may = (persona: Persona) => lets(rule, persona) && !(persona === 'other' && isOwned(operation) && /project_/.test(rule));
    // Those who may not come first: they must find the object as it was made.
    for (const persona of [...personas].sort((a, b) => Number(may(a)) - Number(may(b)))) {
      const needsBody = ['POST', 'PUT'].includes(operation.method);
      const body = request.body !== undefined ? { body: request.body } : needsBody ? { body: {} } : {};
      const answer = await world.ask(place, { at: one.version, token: tokens[persona], ...body });
      asked++;
      const refused =
        persona === 'nobody'
          ? answer.status === 401
          : answer.status === 403 || (persona === 'other' && isOwned(operation) && [400, 404].includes(answer.status));
      // 403 stands for quotas too, but none binds here.
      if (may(persona) ? answer.status === 403 || answer.status === 401 || answer.status >= 500 : !refused)
        wrong.push(
          `${operation.id} as ${persona}: ${answer.status}, though ${rule} ${may(persona) ? 'lets it' : 'forbids it'} ${answer.text.slice(0, 150)}`,
        );
    }
    await request.after?.().catch(() => undefined);
  }
  return { asked, wrong };
}
