import { lockImage } from '../../db/tables/image/images.ts';
import { deleteMember, findMember, imageMembers, insertMember, updateMember } from '../../db/tables/image/members.ts';
import type { Call, Reply } from '../../http/call.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import { imageLimit, imageMemberExists, imageMemberNotFound, imageNotFound, imageNotShared } from '../../model/errors-image.ts';
import { MEMBER_STATUSES } from '../../model/image.ts';
import { type ImageParts, type SeenImage, seenImage, viewerOf } from './find-image.ts';
import { MAX_MEMBERS } from './image-fields.ts';
import { memberView } from './image-view.ts';
import { objectBody } from './images.ts';

// Who may what: the owner (and admins) add, see and remove members; a member sees only itself, and says whether it accepts.

async function sharedImage(parts: ImageParts, call: Call): Promise<SeenImage> {
  const seen = await seenImage(parts, call);
  call.allow(seen.target);
  if (seen.image.visibility !== 'shared') throw imageNotShared({});
  return seen;
}

const ownsOrAdmin = (call: Call, { image }: SeenImage) => viewerOf(call).admin || image.owner === call.caller.projectId;

/** Shares the image with a project, which then has to accept. Throws 403, imageMemberExists (409), imageLimit (413). */
export async function addMember(parts: ImageParts, call: Call): Promise<Reply> {
  const seen = await sharedImage(parts, call);
  const member = objectBody(call.body).member;
  if (member === undefined) throw invalidInput({ why: 'Member to be added not specified' });
  if (typeof member !== 'string' || member === '' || [...member].length > 255)
    throw invalidInput({ why: 'Member must be the id of a project: a text of 1 to 255 characters.' });
  const now = parts.clock.now();
  try {
    await parts.db.transaction(async (tx) => {
      if (!(await lockImage(tx, seen.image.id, now))) throw imageNotFound({ id: seen.image.id });
      const taken = await imageMembers(tx, seen);
      if (taken.length >= MAX_MEMBERS) throw imageLimit({ what: 'members', limit: MAX_MEMBERS, attempted: taken.length + 1 });
      await insertMember(tx, seen.key, member, now);
    });
  } catch (cause) {
    if (cause instanceof CloudError) throw cause;
    // The unique key decides; reading first would let two at once both through.
    if (await findMember(parts.db.read, seen, member)) throw imageMemberExists({ member, id: seen.image.id }, { cause });
    throw cause;
  }
  return {
    status: 200,
    body: memberView({ imageId: seen.image.id, projectId: member, status: 'pending', createdAt: now, updatedAt: now }),
  };
}

export async function listMembers(parts: ImageParts, call: Call): Promise<Reply> {
  const seen = await sharedImage(parts, call);
  const members = await imageMembers(parts.db.read, seen);
  const visible = ownsOrAdmin(call, seen) ? members : members.filter((member) => member.projectId === call.caller.projectId);
  return { status: 200, body: { members: visible.map(memberView), schema: '/v2/schemas/members' } };
}

export async function showMember(parts: ImageParts, call: Call): Promise<Reply> {
  const seen = await seenImage(parts, call);
  call.allow(seen.target);
  const projectId = call.params.member ?? '';
  const member = seen.image.visibility === 'shared' ? await findMember(parts.db.read, seen, projectId) : undefined;
  if (!member || !(ownsOrAdmin(call, seen) || projectId === call.caller.projectId))
    throw imageMemberNotFound({ member: projectId.slice(0, 255), id: seen.image.id });
  return { status: 200, body: memberView(member) };
}

/** Accepts, rejects or forgets an offer: the member's own decision. Throws 400, 403, 404. */
export async function decideMember(parts: ImageParts, call: Call): Promise<Reply> {
  const seen = await sharedImage(parts, call);
  const projectId = call.params.member ?? '';
  const wish = objectBody(call.body).status;
  if (wish === undefined) throw invalidInput({ why: 'Status not specified' });
  const status = MEMBER_STATUSES.find((known) => known === wish);
  if (!status) throw invalidInput({ why: `Incorrect request: status must be "${MEMBER_STATUSES.join('", "')}".` });
  const missing = () => imageMemberNotFound({ member: projectId.slice(0, 255), id: seen.image.id });
  if (!viewerOf(call).admin && projectId !== call.caller.projectId) throw missing();
  const now = parts.clock.now();
  const changed = await parts.db.transaction((tx) => updateMember(tx, seen.key, projectId, status, now));
  const member = changed ? await findMember(parts.db.read, seen, projectId) : undefined;
  if (!member) throw missing();
  return { status: 200, body: memberView(member) };
}

export async function removeMember(parts: ImageParts, call: Call): Promise<Reply> {
  const seen = await sharedImage(parts, call);
  const member = call.params.member ?? '';
  if (seen.image.owner !== call.caller.projectId && !viewerOf(call).admin) throw imageNotFound({ id: seen.image.id });
  if (!(await parts.db.transaction((tx) => deleteMember(tx, seen.key, member))))
    throw imageMemberNotFound({ member: member.slice(0, 255), id: seen.image.id });
  return { status: 204 };
}
