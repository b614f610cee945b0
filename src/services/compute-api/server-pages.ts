import { type ExpressionBuilder, type SqlBool, sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import type { Schema } from '../../db/schema.ts';
import { toServer } from '../../db/tables/compute/servers.ts';
import type { Call } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { adminOnlySort, markerUnknown } from '../../model/errors-compute.ts';
import type { Server } from '../../model/server.ts';
import { sortsByLocked } from './server-behaviours.ts';
import type { ServerFilters } from './server-filters.ts';
import { isAdmin } from './server-find.ts';

/** Columns a list can be sorted by, by the names of the API. `text`: empty when null; else -1. */
const sortColumns = {
  access_ip_v4: ['access_ip_v4', 'text'],
  access_ip_v6: ['access_ip_v6', 'text'],
  auto_disk_config: ['disk_config', 'text'],
  availability_zone: ['availability_zone', 'text'],
  config_drive: ['config_drive', 'text'],
  created_at: ['created_at', 'exact'],
  display_description: ['description', 'text'],
  display_name: ['name', 'text'],
  host: ['host', 'text'],
  hostname: ['hostname', 'text'],
  image_ref: ['image_id', 'text'],
  instance_type_id: ['flavor_id', 'text'],
  key_name: ['key_name', 'text'],
  launch_index: ['launch_index', 'number'],
  launched_at: ['launched_at', 'number'],
  locked: ['locked', 'number'],
  node: ['node', 'text'],
  power_state: ['power_state', 'number'],
  progress: ['progress', 'number'],
  project_id: ['project_id', 'text'],
  root_device_name: ['root_device_name', 'text'],
  task_state: ['task_state', 'text'],
  terminated_at: ['terminated_at', 'number'],
  updated_at: ['updated_at', 'number'],
  user_id: ['user_id', 'text'],
  uuid: ['uuid', 'text'],
  vm_state: ['vm_state', 'text'],
} as const;
type SortKey = keyof typeof sortColumns;
interface Order {
  readonly column: (typeof sortColumns)[SortKey][0] | 'id';
  readonly nulls: 'text' | 'number' | 'exact';
  readonly down: boolean;
}

/** The order a list is asked in, always ended by age and key so that it is total. Throws invalidInput for a direction that is none,
 *  adminOnlySort for host and node. Keys without a column of ours are passed over. */
export function readOrder(call: Call): readonly Order[] {
  const keys = call.query.sort_key ?? [];
  const directions = (call.query.sort_dir ?? []).map((word) => word.toLowerCase());
  for (const word of directions)
    if (word !== 'asc' && word !== 'desc') throw invalidInput({ why: `Unknown sort direction, must be 'desc' or 'asc'` });
  const first = directions[0] ?? 'desc';
  const order: Order[] = [];
  for (const [index, key] of keys.entries()) {
    if ((key === 'host' || key === 'node') && !isAdmin(call)) throw adminOnlySort({ key });
    if (!Object.hasOwn(sortColumns, key) || (key === 'locked' && !sortsByLocked(call.version))) continue;
    const [column, nulls] = sortColumns[key as SortKey];
    if (!order.some((other) => other.column === column)) order.push({ column, nulls, down: (directions[index] ?? first) === 'desc' });
  }
  if (!order.some((other) => other.column === 'created_at')) order.push({ column: 'created_at', nulls: 'exact', down: first === 'desc' });
  return [...order, { column: 'id', nulls: 'exact', down: first === 'desc' }];
}

const sortValue = ({ column, nulls }: Order) =>
  nulls === 'exact'
    ? sql`${sql.ref(column)}`
    : nulls === 'text'
      ? sql`coalesce(${sql.ref(column)}, '')`
      : sql`coalesce(${sql.ref(column)}, -1)`;

/** Where one page begins: the sort values of the server before it. */
export type Cursor = readonly (string | number)[];

/** The cursor behind a marker. Throws markerUnknown. A marker that was deleted meanwhile still tells where to go on. */
export async function cursorOf(db: Query, call: Call, order: readonly Order[], marker: string): Promise<Cursor> {
  let query = db
    .selectFrom('servers')
    .select(order.map((by, index) => sql<string | number>`${sortValue(by)}`.as(`v${index}`)))
    .where('uuid', '=', marker.slice(0, 36).toLowerCase());
  if (!isAdmin(call)) query = query.where('project_id', '=', call.caller.projectId ?? '');
  const row = marker.length <= 36 ? await query.executeTakeFirst() : undefined;
  if (!row) throw markerUnknown({ marker: marker.slice(0, 255) });
  return order.map((_by, index) => (row as Record<string, string | number>)[`v${index}`] ?? '');
}

/** Rows strictly behind the cursor. One comparison of whole rows where all keys run the same way: engines answer it from an index. */
function behind(order: readonly Order[], cursor: Cursor) {
  const down = order[0]?.down ?? true;
  if (order.every((by) => by.down === down)) {
    const columns = sql.join(order.map(sortValue));
    const values = sql.join(cursor.map((value) => sql`${value}`));
    return down ? sql<SqlBool>`(${columns}) < (${values})` : sql<SqlBool>`(${columns}) > (${values})`;
  }
  const ways = order.map((by, index) => {
    const same = order.slice(0, index).map((other, at) => sql`${sortValue(other)} = ${cursor[at]}`);
    const next = by.down ? sql`${sortValue(by)} < ${cursor[index]}` : sql`${sortValue(by)} > ${cursor[index]}`;
    return sql`(${sql.join([...same, next], sql` and `)})`;
  });
  return sql<SqlBool>`(${sql.join(ways, sql` or `)})`;
}

/** One page of light rows, in order. */
export interface LightRow {
  readonly id: number;
  readonly uuid: string;
  readonly name: string;
  readonly host: string | null;
  readonly revision: number;
}

function select(db: Query, filters: ServerFilters, order: readonly Order[], cursor: Cursor | undefined, limit: number) {
  let query = db.selectFrom('servers').where((eb: ExpressionBuilder<Schema, 'servers'>) => eb.and(filters.where.map((where) => where(eb))));
  if (cursor) query = query.where(behind(order, cursor));
  for (const by of order) query = query.orderBy(sortValue(by), by.down ? 'desc' : 'asc');
  return query.limit(limit);
}

/** The page behind the cursor with at most `limit` servers. Where tests must look at each server, it goes on until the page is full. */
export async function readPage(
  db: Query,
  filters: ServerFilters,
  order: readonly Order[],
  cursor: Cursor | undefined,
  limit: number,
): Promise<LightRow[]> {
  if (limit === 0 || filters.none) return [];
  if (filters.tests.length === 0) {
    return select(db, filters, order, cursor, limit).select(['id', 'uuid', 'name', 'host', 'revision']).execute();
  }
  const page: Server[] = [];
  for (let from = cursor; page.length < limit; ) {
    const rows = await select(db, filters, order, from, 500)
      .selectAll()
      .select(order.map((by, index) => sql<string | number>`${sortValue(by)}`.as(`v${index}`)))
      .execute();
    for (const row of rows) {
      const server = toServer(row);
      if (filters.tests.every((fits) => fits(server))) page.push(server);
    }
    const last = rows.at(-1) as Record<string, unknown> | undefined;
    if (!last || rows.length < 500) break;
    from = order.map((_by, index) => last[`v${index}`] as string | number); // selected two lines above
  }
  return page.slice(0, limit);
}
