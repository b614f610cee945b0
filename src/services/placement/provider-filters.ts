import { findProvider } from '../../db/tables/placement/providers.ts';
import { type Call, one } from '../../http/call.ts';
import { placementBadRequest } from '../../model/errors-placement.ts';
import { noSuchClass, noSuchTraits, unknownClasses, unknownTraits } from './knowledge.ts';
import type { PlacementParts } from './parts.ts';
import { readMemberOf, readRequired, readResources } from './query-words.ts';
import { gives, hasAny, hasOfEach, type Node } from './search/forest.ts';

/** The query of a provider list as one question to each provider; null when none can fit. Throws 400 for what cannot be read or is not known. */
export async function listFilters({ db }: PlacementParts, call: Call): Promise<((node: Node) => boolean) | null> {
  const { memberOf, notMemberOf } = readMemberOf(call, 'member_of');
  const { required, forbidden } = readRequired(call, 'required');
  const resources = call.query.resources ? readResources(one(call, 'resources') ?? '') : new Map<string, number>();
  const noTraits = await unknownTraits(db.read, [...required.flatMap((set) => [...set]), ...forbidden]);
  if (noTraits.length > 0) throw placementBadRequest({ why: `Invalid trait(s) in "required" parameter: ${noSuchTraits(noTraits)}` });
  const [noClass] = await unknownClasses(db.read, resources.keys());
  if (noClass !== undefined) throw placementBadRequest({ why: `Invalid resource class in resources parameter: ${noSuchClass(noClass)}` });
  const [name, uuid, inTree] = [one(call, 'name'), one(call, 'uuid'), one(call, 'in_tree')];
  const root = inTree ? (await findProvider(db.read, inTree))?.rootUuid : undefined;
  if (inTree && root === undefined) return null;
  return (node) =>
    (!name || node.provider.name === name) &&
    (!uuid || node.provider.uuid === uuid) &&
    (root === undefined || node.provider.rootUuid === root) &&
    hasOfEach(node.traitSet, required) &&
    !hasAny(node.traitSet, forbidden) &&
    hasOfEach(node.aggregates, memberOf) &&
    !hasAny(node.aggregates, notMemberOf) &&
    [...resources].every(([resourceClass, amount]) => gives(node, resourceClass, amount));
}
