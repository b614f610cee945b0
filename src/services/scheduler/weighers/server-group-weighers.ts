import type { Weigher } from '../weigher.ts';

/** Hosts with many members of the group first.  Spec: Nova's ServerGroupSoftAffinityWeigher. */
export const ServerGroupSoftAffinityWeigher: Weigher = {
  name: 'ServerGroupSoftAffinityWeigher',
  option: 'soft_affinity_weight_multiplier',
  multiplier: 1,
  concerns: ({ wish }) => wish.group?.policy === 'soft-affinity',
  weigh: (host, { wish: { group } }) => (group?.policy === 'soft-affinity' ? group.membersOn(host) : 0),
};
/** Hosts with few members of the group first.  Spec: Nova's ServerGroupSoftAntiAffinityWeigher. */
export const ServerGroupSoftAntiAffinityWeigher: Weigher = {
  name: 'ServerGroupSoftAntiAffinityWeigher',
  option: 'soft_anti_affinity_weight_multiplier',
  multiplier: 1,
  concerns: ({ wish }) => wish.group?.policy === 'soft-anti-affinity',
  weigh: (host, { wish: { group } }) => (group?.policy === 'soft-anti-affinity' ? -group.membersOn(host) : 0),
};
