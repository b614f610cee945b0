import { type ExpressionBuilder, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { Visibility } from '../../../model/image.ts';
import type { Query } from '../../engine.ts';
import type { Schema } from '../../schema.ts';
import { type ImageRow, imagesOf, type KeyedImage } from './images.ts';

type Builder = ExpressionBuilder<Schema, 'images'>;

/** Who looks: an admin sees every image, others their own, public ones, community ones and those shared with them. */
export interface Viewer {
  readonly projectId: string | null;
  readonly admin: boolean;
}
/** Columns a list may be held to by equality. */
export const FILTER_COLUMNS = [
  'name',
  'status',
  'owner',
  'disk_format',
  'container_format',
  'uuid',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
] as const;
export const NUMBER_COLUMNS = ['min_disk', 'min_ram', 'size', 'virtual_size', 'protected'] as const;
export const SORT_COLUMNS = [
  'name',
  'status',
  'container_format',
  'disk_format',
  'size',
  'uuid',
  'created_at',
  'updated_at',
  'owner',
] as const;
export type SortColumn = (typeof SORT_COLUMNS)[number];

export interface ImageFilter {
  readonly texts: readonly { readonly column: (typeof FILTER_COLUMNS)[number]; readonly values: readonly string[] }[];
  readonly numbers: readonly { readonly column: (typeof NUMBER_COLUMNS)[number]; readonly op: '=' | '>=' | '<='; readonly value: number }[];
  /** Half-open ranges of microseconds; `not` turns one round. */
  readonly times: readonly {
    readonly column: 'created_at' | 'updated_at';
    readonly from: number | null;
    readonly before: number | null;
    readonly not: boolean;
  }[];
  readonly properties: readonly (readonly [name: string, value: string])[];
  readonly tags: readonly string[];
  readonly hidden: boolean;
  /** undefined: what a project usually wants, community images of others left out. */
  readonly visibility: Visibility | 'all' | undefined;
  /** 'all' or one status of the viewer's membership in images shared with it. */
  readonly memberStatus: string;
}
export interface ImagePage {
  readonly sort: readonly { readonly column: SortColumn; readonly descending: boolean }[];
  readonly limit: number;
  /** The row after which the page begins. */
  readonly after: ImageRow | undefined;
}

/** The row a marker names, if the viewer may see it. */
export async function markerRow(q: Query, id: string, viewer: Viewer): Promise<ImageRow | undefined> {
  return q
    .selectFrom('images')
    .selectAll()
    .where('uuid', '=', id)
    .where('deleted', '=', 0)
    .where((eb) => seen(eb, viewer, 'all', 'all'))
    .executeTakeFirst();
}

/** One page of images the viewer may see, in order. */
export async function listImages(q: Query, viewer: Viewer, filter: ImageFilter, page: ImagePage): Promise<KeyedImage[]> {
  if (page.limit === 0) return [];
  let query = q
    .selectFrom('images')
    .selectAll()
    .where('deleted', '=', 0)
    .where('os_hidden', '=', filter.hidden ? 1 : 0)
    .where((eb) => seen(eb, viewer, filter.visibility, filter.memberStatus));
  for (const { column, values } of filter.texts) query = query.where(column, 'in', values);
  for (const { column, op, value } of filter.numbers) query = query.where(column, op, value);
  for (const { column, from, before, not } of filter.times) {
    query = query.where((eb) => {
      const inside = eb.and([...(from === null ? [] : [eb(column, '>=', from)]), ...(before === null ? [] : [eb(column, '<', before)])]);
      return not ? eb.not(inside) : inside;
    });
  }
  for (const tag of filter.tags)
    query = query.where((eb) =>
      eb.exists(eb.selectFrom('image_tags').select('tag').whereRef('image_tags.image_id', '=', 'images.id').where('tag', '=', tag)),
    );
  for (const [name, value] of filter.properties)
    query = query.where((eb) =>
      eb.exists(
        eb
          .selectFrom('image_properties')
          .select('value')
          .whereRef('image_properties.image_id', '=', 'images.id')
          .where('image_properties.name', '=', name)
          .where('value', '=', value),
      ),
    );
  const { after } = page;
  if (after) query = query.where((eb) => behind(eb, page, after));
  for (const { column, descending } of page.sort) query = query.orderBy(keyOf(column), descending ? 'desc' : 'asc');
  return imagesOf(q, await query.limit(page.limit).execute());
}

function seen(eb: Builder, { projectId, admin }: Viewer, visibility: ImageFilter['visibility'], memberStatus: string) {
  const nothing = sql<SqlBool>`1 = 0`;
  const own = projectId === null ? nothing : eb('owner', '=', projectId);
  const is = (word: Visibility) => eb('visibility', '=', word);
  const shared =
    projectId === null
      ? nothing
      : eb.and([
          is('shared'),
          eb.exists(
            eb
              .selectFrom('image_members')
              .select('project_id')
              .whereRef('image_members.image_id', '=', 'images.id')
              .where('project_id', '=', projectId)
              .where('image_members.status', 'in', memberStatus === 'all' ? ['pending', 'accepted', 'rejected'] : [memberStatus]),
          ),
        ]);
  switch (visibility) {
    case 'public':
    case 'community':
      return is(visibility);
    case 'private':
      return admin ? is('private') : eb.and([is('private'), own]);
    case 'shared':
      return admin ? is('shared') : eb.or([eb.and([is('shared'), own]), shared]);
    case 'all':
      return admin ? sql<SqlBool>`1 = 1` : eb.or([own, is('public'), is('community'), shared]);
    default:
      return admin ? eb.or([eb('visibility', '<>', 'community'), own]) : eb.or([own, is('public'), shared]);
  }
}

/** What a column sorts by; absent values first, alike on every engine. */
function keyOf(column: SortColumn): RawBuilder<string | number> {
  if (column === 'size') return sql<number>`coalesce(${sql.ref('images.size')}, -1)`;
  return sql<string>`coalesce(${sql.ref(`images.${column}`)}, ${column === 'created_at' || column === 'updated_at' ? sql.lit(0) : sql.lit('')})`;
}

function behind(eb: Builder, { sort }: ImagePage, row: ImageRow) {
  const at = (column: SortColumn) => row[column] ?? (column === 'size' ? -1 : '');
  return eb.or(
    sort.map(({ column, descending }, index) =>
      eb.and([
        ...sort.slice(0, index).map((before) => eb(keyOf(before.column), '=', at(before.column))),
        eb(keyOf(column), descending ? '<' : '>', at(column)),
      ]),
    ),
  );
}
