import type { ServerGroup } from '../../../db/tables/compute/server-groups.ts';
import { before, from } from '../../../lib/answer.ts';

/** A server group: to 2.63 with its policy as a list and empty metadata.  Spec: compute api-ref "Show Server Group Details". */
export const serverGroupView = (group: ServerGroup) => ({
  id: group.uuid,
  name: group.name,
  policies: before('2.64', [group.policy]),
  metadata: before('2.64', {}),
  policy: from('2.64', group.policy),
  rules: from('2.64', group.rules),
  members: group.members,
  project_id: from('2.13', group.projectId),
  user_id: from('2.13', group.userId),
});
