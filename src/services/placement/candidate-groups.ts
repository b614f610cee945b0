import { type Call, one } from '../../http/call.ts';
import { badQueryValue, doubleQueryKey, missingQueryValue, placementBadRequest } from '../../model/errors-placement.ts';
import { shown } from './json-words.ts';
import { groupsCanShareSubtree, groupsHaveNames, traitsCanBeForbidden } from './microversions.ts';
import {
  type AggregateWish,
  readInTree,
  readMemberOf,
  readRequired,
  readResources,
  readRootRequired,
  type TraitWish,
} from './query-words.ts';

/** What one group of the query asks for. The group without a suffix may take from several providers of a tree, any other takes all from one. */
export interface Group extends TraitWish, AggregateWish {
  readonly suffix: string;
  readonly resources: ReadonlyMap<string, number>;
  readonly inTree: string | undefined;
}
/** What a query of candidates asks for. */
export interface CandidateWish {
  readonly groups: readonly Group[];
  readonly isolate: boolean;
  readonly limit: number | undefined;
  readonly root: TraitWish | undefined;
  readonly sameSubtrees: readonly ReadonlySet<string>[];
}

const NUMBERED = /^(resources|required|member_of|in_tree)([1-9][0-9]*)?$/;
const NAMED = /^(resources|required|member_of|in_tree)([a-zA-Z0-9_-]{1,64})?$/;

/** Reads a query whose words are known to be allowed. Throws 400 for what does not belong together.  Spec: placement api-ref, "List allocation candidates". */
export function readCandidateWish(call: Call): CandidateWish {
  const root = readRoot(call);
  const sameSubtrees = (call.query.same_subtree ?? []).map((value) => {
    const suffixes = new Set(value.split(',').map((suffix) => suffix.trim()));
    if (suffixes.has('')) throw badQueryValue({ why: 'Empty string (unsuffixed group) can not be specified in `same_subtree` ' });
    return suffixes;
  });
  const groups = readGroups(call);
  if (groupsCanShareSubtree(call.version)) mustBelongTogether(groups, new Set(sameSubtrees.flatMap((set) => [...set])));
  else mustHaveResources(groups);
  if (traitsCanBeForbidden(call.version)) mustNotContradict(groups);
  const policy = call.query.group_policy?.[0];
  if (!policy && groups.filter((group) => group.suffix !== '').length > 1)
    throw placementBadRequest({
      why: 'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.',
    });
  const limit = call.query.limit?.[0];
  return { groups, isolate: policy === 'isolate', limit: limit === undefined ? undefined : Number(limit), root, sameSubtrees };
}

function readRoot(call: Call): TraitWish | undefined {
  const values = call.query.root_required;
  if (!values) return undefined;
  if (values.length > 1) throw doubleQueryKey({ why: "Query parameter 'root_required' may be specified only once." });
  const wish = readRootRequired(one(call, 'root_required') ?? '');
  const conflicts = wish.required.flatMap((set) => [...set].filter((name) => wish.forbidden.has(name)));
  if (conflicts.length > 0)
    throw badQueryValue({ why: `Conflicting required and forbidden traits found in root_required: ${conflicts.join(', ')}` });
  return wish;
}

function readGroups(call: Call): Group[] {
  const form = groupsHaveNames(call.version) ? NAMED : NUMBERED;
  const suffixes = new Set<string>();
  for (const word of Object.keys(call.query)) {
    const found = form.exec(word);
    if (found) suffixes.add(found[2] ?? '');
  }
  return [...suffixes].map((suffix) => {
    const resources = one(call, `resources${suffix}`);
    const inTree = one(call, `in_tree${suffix}`);
    return {
      suffix,
      resources: resources === undefined ? new Map<string, number>() : readResources(resources),
      ...readRequired(call, `required${suffix}`),
      ...readMemberOf(call, `member_of${suffix}`),
      inTree: inTree === undefined ? undefined : readInTree(inTree),
    };
  });
}

function mustBelongTogether(groups: readonly Group[], inSubtrees: ReadonlySet<string>): void {
  const without = groups.filter((group) => group.resources.size === 0);
  if (without.length === groups.length)
    throw missingQueryValue({ why: 'There must be at least one resources or resources[$S] parameter.' });
  const lonely = without.filter((group) => !inSubtrees.has(group.suffix)).map((group) => group.suffix);
  if (lonely.length > 0)
    throw badQueryValue({
      why: `Resourceless suffixed group request should be specified in \`same_subtree\` query param: bad group(s) - ${shown(lonely)}.`,
    });
  const known = groups.map((group) => group.suffix);
  const unreal = [...inSubtrees].filter((suffix) => !known.includes(suffix));
  if (unreal.length > 0)
    throw badQueryValue({
      why: `Real suffixes should be specified in \`same_subtree\`: ${shown(unreal)} not found in ${shown(known)}.`,
    });
}

function mustHaveResources(groups: readonly Group[]): void {
  const without = groups.filter((group) => group.resources.size === 0);
  const traits = without.filter((group) => group.required.length > 0).map((group) => `required${group.suffix}`);
  if (traits.length > 0)
    throw placementBadRequest({
      why: `All traits parameters must be associated with resources.  Found the following orphaned traits keys: ${traits.join(', ')}`,
    });
  const aggregates = without
    .filter((group) => group.memberOf.length > 0 || group.notMemberOf.size > 0)
    .map((group) => `member_of${group.suffix}`);
  if (aggregates.length > 0)
    throw placementBadRequest({
      why: `All member_of parameters must be associated with resources. Found the following orphaned member_of keys: ${aggregates.join(', ')}`,
    });
  if (without.length > 0) throw placementBadRequest({ why: 'All request groups must specify resources.' });
  if (groups.length === 0) throw placementBadRequest({ why: 'At least one request group (`resources` or `resources{$S}`) is required.' });
}

function mustNotContradict(groups: readonly Group[]): void {
  const conflicts = groups.flatMap((group) =>
    group.required
      .filter((set) => [...set].every((name) => group.forbidden.has(name)))
      .map((set) => `required${group.suffix}: (${[...set].sort().join(', ')})`),
  );
  if (conflicts.length > 0)
    throw placementBadRequest({
      why: `Conflicting required and forbidden traits found in the following traits keys: ${conflicts.sort().join(', ')}`,
    });
}
