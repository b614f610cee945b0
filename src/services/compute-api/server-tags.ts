import type { Query } from '../../db/engine.ts';
import { tagsOf } from '../../db/tables/compute/servers.ts';
import type { Call, Reply } from '../../http/call.ts';
import { serverHasNoTag, tagInvalid, tooManyTags } from '../../model/errors-misc-api.ts';
import type { Server } from '../../model/server.ts';
import { linksTo } from './links.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { changeServer, mustAllow } from './server-tasks.ts';

/** Nova's MAX_TAG_COUNT. */
export const MAX_TAGS = 50;

const namesOf = async (db: Query, server: Server) => (await tagsOf(db, [server.id])).get(server.id) ?? [];

/** GET /servers/{id}/tags.  Spec: compute api-ref "Server tags". */
export async function listTags(parts: ServerParts, call: Call): Promise<Reply> {
  return { status: 200, body: { tags: await namesOf(parts.db.read, await serverOf(parts.db.read, call)) } };
}

/** GET /servers/{id}/tags/{tag}: whether the server has it.  Throws serverHasNoTag (404). */
export async function showTag(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const tag = call.params.tag ?? '';
  if (!(await namesOf(parts.db.read, server)).includes(tag)) throw serverHasNoTag({ id: server.uuid, tag });
  return { status: 204 };
}

/** PUT /servers/{id}/tags/{tag}: 201 with its place for a new one, 204 for one that is there.  Throws tagInvalid, tooManyTags (400). */
export async function addTag(parts: ServerParts, call: Call): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  const tag = call.params.tag ?? '';
  mustAllow('updateTags', 'update tag', seen, call);
  if (tag === '' || [...tag].length > 60 || /[,/]/.test(tag)) throw tagInvalid({ tag });
  const there = await namesOf(parts.db.read, seen);
  // As upstream: a server that is full refuses even a tag it has.
  if (there.length >= MAX_TAGS) throw tooManyTags({ limit: MAX_TAGS });
  if (there.includes(tag)) return { status: 204 };
  await changeTags(parts, call, seen, 'update tag', async (tx) => {
    // The server's row is locked by now: nobody else adds one meanwhile.
    const tags = await namesOf(tx, seen);
    if (tags.includes(tag)) return;
    if (tags.length >= MAX_TAGS) throw tooManyTags({ limit: MAX_TAGS });
    await tx.insertInto('server_tags').values({ server_id: seen.id, tag }).execute();
  });
  return { status: 201, headers: { location: linksTo(call, `servers/${seen.uuid}/tags`, tag)[0]?.href ?? '' } };
}

/** PUT /servers/{id}/tags: these tags and no others. */
export async function replaceTags(parts: ServerParts, call: Call<{ tags: string[] }>): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  const tags = [...new Set(call.body.tags)];
  await changeTags(parts, call, seen, 'update tags', async (tx) => {
    await tx.deleteFrom('server_tags').where('server_id', '=', seen.id).execute();
    if (tags.length > 0)
      await tx
        .insertInto('server_tags')
        .values(tags.map((tag) => ({ server_id: seen.id, tag })))
        .execute();
  });
  return { status: 200, body: { tags } };
}

/** DELETE /servers/{id}/tags/{tag}.  Throws serverHasNoTag (404). */
export async function removeTag(parts: ServerParts, call: Call): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  const tag = call.params.tag ?? '';
  await changeTags(parts, call, seen, 'delete tag', async (tx) => {
    const { numDeletedRows } = await tx
      .deleteFrom('server_tags')
      .where('server_id', '=', seen.id)
      .where('tag', '=', tag)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw serverHasNoTag({ id: seen.uuid, tag });
  });
  return { status: 204 };
}

/** DELETE /servers/{id}/tags. */
export async function removeTags(parts: ServerParts, call: Call): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  await changeTags(parts, call, seen, 'delete tags', async (tx) => {
    await tx.deleteFrom('server_tags').where('server_id', '=', seen.id).execute();
  });
  return { status: 204 };
}

/** The server's revision rises with its tags: they stand in its views. */
const changeTags = (parts: ServerParts, call: Call, seen: Server, word: string, also: (tx: Query) => Promise<void>) =>
  changeServer(parts, seen, (server) => {
    mustAllow('updateTags', word, server, call);
    return { set: {}, what: 'tags', also };
  });
