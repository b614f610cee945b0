import type { Selectable } from 'kysely';
import type { ImageMember, MemberStatus } from '../../../model/image.ts';
import type { Query } from '../../engine.ts';
import type { ImageMembersTable } from './tables.ts';

const memberOf = (imageId: string, row: Selectable<ImageMembersTable>): ImageMember => ({
  imageId,
  projectId: row.project_id,
  status: row.status as MemberStatus, // only these are ever written
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});
type Of = { readonly key: number; readonly image: { readonly id: string } };

/** The projects an image is shared with, oldest first. */
export async function imageMembers(q: Query, { key, image }: Of): Promise<ImageMember[]> {
  const rows = await q
    .selectFrom('image_members')
    .selectAll()
    .where('image_id', '=', key)
    .orderBy('created_at')
    .orderBy('project_id')
    .execute();
  return rows.map((row) => memberOf(image.id, row));
}

export async function findMember(q: Query, { key, image }: Of, projectId: string): Promise<ImageMember | undefined> {
  const row = await q
    .selectFrom('image_members')
    .selectAll()
    .where('image_id', '=', key)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return row && memberOf(image.id, row);
}

export async function insertMember(tx: Query, key: number, projectId: string, now: number): Promise<void> {
  await tx
    .insertInto('image_members')
    .values({ image_id: key, project_id: projectId, status: 'pending', created_at: now, updated_at: now })
    .execute();
}

/** False when there is no such member. */
export async function updateMember(tx: Query, key: number, projectId: string, status: MemberStatus, now: number): Promise<boolean> {
  const done = await tx
    .updateTable('image_members')
    .set({ status, updated_at: now })
    .where('image_id', '=', key)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

/** False when there was no such member. */
export async function deleteMember(tx: Query, key: number, projectId: string): Promise<boolean> {
  const done = await tx.deleteFrom('image_members').where('image_id', '=', key).where('project_id', '=', projectId).executeTakeFirst();
  return done.numDeletedRows > 0n;
}
