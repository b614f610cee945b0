import { newUuid } from '../../lib/ids.ts';

/** What the rows of all that has a name begin with. */
export const resourceRow = (projectId: string, wish: { readonly name?: string; readonly description?: string }, now: number) => ({
  uuid: newUuid(),
  project_id: projectId,
  name: wish.name ?? '',
  description: wish.description ?? '',
  tags: '[]',
  revision: 1,
  created_at: now,
  updated_at: now,
});
