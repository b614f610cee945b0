import { type Filter, no, ok } from '../filter.ts';

const full = no('the server group has as many members on the host as its anti-affinity rule allows');
const apart = no('members of the server group stand on another host (affinity)');

/** At most max_server_per_host members of the group on one host; a host that holds the server already may keep it.
 *  Spec: Nova's ServerGroupAntiAffinityFilter. */
export const ServerGroupAntiAffinityFilter: Filter = {
  name: 'ServerGroupAntiAffinityFilter',
  concerns: ({ wish }) => wish.group?.policy === 'anti-affinity',
  judge(host, { wish: { group, serverUuid } }) {
    if (group?.policy !== 'anti-affinity' || host.instances.has(serverUuid)) return ok;
    if (Number.isNaN(group.maxPerHost)) throw new Error('max_server_per_host of the server group is no number');
    return group.membersOn(host) < group.maxPerHost ? ok : full;
  },
};

/** The host where the group's members are, once there is one.  Spec: Nova's ServerGroupAffinityFilter. */
export const ServerGroupAffinityFilter: Filter = {
  name: 'ServerGroupAffinityFilter',
  concerns: ({ wish }) => wish.group?.policy === 'affinity' && wish.group.hosts.size > 0,
  judge: (host, { wish: { group } }) => (group?.policy !== 'affinity' || group.hosts.size === 0 || group.hosts.has(host.host) ? ok : apart),
};
