import { sql } from 'kysely';
import type { EngineKind, Query } from '../../engine.ts';
import { met, prepared } from '../../prepared.ts';
import { limitsOf, serverUsageOfUser } from './quota-limits.ts';

/** What servers take of a project's quota. `ram` is MiB. */
export interface ServerShare {
  readonly instances: number;
  readonly cores: number;
  readonly ram: number;
}
// The fixed order in which counters are taken: two transactions never wait for each other crosswise.
const RESOURCES = ['cores', 'instances', 'ram'] as const;
type Resource = (typeof RESOURCES)[number];

/** How a share did not fit: per resource what was asked, what is used and what is allowed. */
export type QuotaShort = readonly { readonly resource: Resource; readonly asked: number; readonly used: number; readonly limit: number }[];

/** A project's limits: its own rows, else those of the class of everybody, else the defaults given. -1: none. */
export const quotaLimits = (db: Query, projectId: string, defaults: Readonly<Record<string, number>>): Promise<Record<string, number>> =>
  limitsOf(db, defaults, projectId);

/** What of a share does not fit the limits that a user has of its own, without what server `except` takes; undefined when all does. Asked after the project's counters are taken: while they
 *  are held nobody else makes servers in the project. */
export async function userQuotaShort(
  tx: Query,
  projectId: string,
  userId: string,
  share: ServerShare,
  own: Readonly<Partial<Record<string, number>>>,
  except?: string,
): Promise<QuotaShort | undefined> {
  if (RESOURCES.every((resource) => share[resource] === 0 || (own[resource] ?? -1) < 0)) return undefined;
  const now = await serverUsageOfUser(tx, projectId, userId, except);
  const short = RESOURCES.flatMap((resource) => {
    const limit = own[resource] ?? -1;
    const used = now[resource];
    return limit >= 0 && share[resource] > 0 && used + share[resource] > limit ? [{ resource, asked: share[resource], used, limit }] : [];
  });
  return short.length === 0 ? undefined : short;
}

/** Takes the share, each resource by one conditional statement. Answers undefined when taken, else what was short: then the
 *  transaction must be rolled back, for some counters may have been raised. Counters are made when a project needs them first. */
export async function takeQuota(
  tx: Query,
  kind: EngineKind,
  projectId: string,
  share: ServerShare,
  limits: Readonly<Record<string, number>>,
): Promise<QuotaShort | undefined> {
  const taken: Resource[] = [];
  for (const resource of RESOURCES) {
    if (share[resource] === 0) {
      taken.push(resource); // whoever asks for nothing is not refused, however low the limit has become
      continue;
    }
    const limit = limits[resource] ?? -1;
    let raised = await raise(tx, projectId, resource, share[resource], limit);
    if (!raised) {
      await makeCounter(tx, kind, projectId, resource);
      raised = await raise(tx, projectId, resource, share[resource], limit); // also when another transaction made the counter meanwhile
    }
    if (!raised) break;
    taken.push(resource);
  }
  if (taken.length === RESOURCES.length) return undefined;
  const now = await quotaUsed(tx, projectId);
  return RESOURCES.flatMap((resource) => {
    const limit = limits[resource] ?? -1;
    const used = (now[resource] ?? 0) - (taken.includes(resource) ? share[resource] : 0);
    return limit >= 0 && share[resource] > 0 && used + share[resource] > limit ? [{ resource, asked: share[resource], used, limit }] : [];
  });
}

interface Raise {
  readonly projectId: string;
  readonly resource: Resource;
  readonly by: number;
}
const raiseAnyhow = prepared((db, p: Raise) => raising(db, p));
const raiseWithin = prepared((db, p: Raise & { limit: number }) => raising(db, p).where(sql<boolean>`used + ${p.by} <= ${p.limit}`));
const raising = (db: Query, p: Raise) =>
  db
    .updateTable('quota_usages')
    .set({ used: sql<number>`used + ${p.by}` })
    .where('project_id', '=', p.projectId)
    .where('user_id', '=', '')
    .where('resource', '=', p.resource);

async function raise(tx: Query, projectId: string, resource: Resource, by: number, limit: number): Promise<boolean> {
  const values = { projectId, resource, by };
  return met(limit < 0 ? await raiseAnyhow(tx, values) : await raiseWithin(tx, { ...values, limit }));
}

/** Only after an update has met no row: inserting first would make every two creates of a project wait for each other crosswise on MariaDB. */
async function makeCounter(tx: Query, kind: EngineKind, projectId: string, resource: Resource): Promise<void> {
  const insert = tx.insertInto('quota_usages').values({ project_id: projectId, user_id: '', resource, used: 0 });
  await (kind === 'mariadb' ? insert.ignore() : insert.onConflict((conflict) => conflict.doNothing())).executeTakeFirst();
}

/** Gives a share back. */
export async function giveBackQuota(tx: Query, projectId: string, share: ServerShare): Promise<void> {
  for (const resource of RESOURCES) await raiseAnyhow(tx, { projectId, resource, by: -share[resource] });
}
export const shareOf = (flavor: { readonly vcpus: number; readonly memoryMiB: number }): ServerShare => ({
  instances: 1,
  cores: flavor.vcpus,
  ram: flavor.memoryMiB,
});

/** What a project uses now, by resource. */
export async function quotaUsed(db: Query, projectId: string): Promise<Record<string, number>> {
  const rows = await db
    .selectFrom('quota_usages')
    .select(['resource', 'used'])
    .where('project_id', '=', projectId)
    .where('user_id', '=', '')
    .execute();
  return Object.fromEntries(rows.map((row) => [row.resource, row.used]));
}
