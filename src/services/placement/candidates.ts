import type { Call, Reply } from '../../http/call.ts';
import { placementBadRequest } from '../../model/errors-placement.ts';
import { dated } from './answers.ts';
import { readQuery } from './bodies.ts';
import { type CandidateWish, readCandidateWish } from './candidate-groups.ts';
import { noSuchClass, noSuchTraits, unknownClasses, unknownTraits } from './knowledge.ts';
import {
  allocationsAreObjects,
  candidatesShowMappings,
  candidatesUseTrees,
  summariesShowAll,
  summariesShowTraits,
} from './microversions.ts';
import type { PlacementParts } from './parts.ts';
import { type Candidate, findCandidates } from './search/find-candidates.ts';
import type { Node, Trees } from './search/forest.ts';
import { candidatesQuery } from './shapes/candidates.ts';

/** Spec: placement api-ref, "List allocation candidates". The answer is written as text: at ten thousand providers that is most of the work. */
export async function listCandidates(parts: PlacementParts, call: Call): Promise<Reply> {
  readQuery(call, candidatesQuery);
  const wish = readCandidateWish(call);
  await mustBeKnown(parts, wish);
  const trees = await parts.forest.current();
  const useTrees = candidatesUseTrees(call.version);
  const found = candidatesOf(parts, trees, wish, useTrees);
  const requests = found.map((candidate) => requestText(call, candidate));
  const summaries = summaryTexts(call, trees, wish, found, useTrees);
  return {
    status: 200,
    raw: `{"allocation_requests": [${requests.join(', ')}], "provider_summaries": {${summaries.join(', ')}}}`,
    headers: { 'content-type': 'application/json', ...dated(call, parts.clock.now()) },
  };
}

/** By chance they are drawn out of all that may be looked for. */
function candidatesOf({ candidates: how }: PlacementParts, trees: Trees, wish: CandidateWish, useTrees: boolean): Candidate[] {
  if (!how.randomize) return findCandidates(trees, wish, useTrees, how);
  const all = findCandidates(trees, { ...wish, limit: undefined }, useTrees, how);
  const drawn = Math.min(wish.limit ?? all.length, all.length);
  for (let at = 0; at < drawn; at++) {
    const other = at + Math.floor(how.random() * (all.length - at));
    [all[at], all[other]] = [all[other]!, all[at]!];
  }
  return all.slice(0, drawn);
}

async function mustBeKnown({ db }: PlacementParts, { groups, root }: CandidateWish): Promise<void> {
  const traits = [...groups, ...(root ? [root] : [])].flatMap(({ required, forbidden }) => [
    ...required.flatMap((set) => [...set]),
    ...forbidden,
  ]);
  const [noClass] = await unknownClasses(
    db.read,
    groups.flatMap((group) => [...group.resources.keys()]),
  );
  if (noClass !== undefined) throw placementBadRequest({ why: `Invalid resource class in resources parameter: ${noSuchClass(noClass)}` });
  const noTraits = await unknownTraits(db.read, traits);
  if (noTraits.length > 0) throw placementBadRequest({ why: noSuchTraits(noTraits) });
}

// Names of classes, traits and uuids need no escapes in JSON; suffixes neither.
function requestText(call: Call, { parts, mappings }: Candidate): string {
  const byNode = new Map<Node, string>();
  for (const { node, resourceClass, amount } of parts) {
    const before = byNode.get(node);
    byNode.set(node, `${before === undefined ? '' : `${before}, `}"${resourceClass}": ${amount}`);
  }
  if (!allocationsAreObjects(call.version)) {
    const list = [...byNode].map(([node, text]) => `{"resource_provider": {"uuid": "${node.provider.uuid}"}, "resources": {${text}}}`);
    return `{"allocations": [${list.join(', ')}]}`;
  }
  const objects: string[] = [];
  for (const [node, text] of byNode) objects.push(`"${node.provider.uuid}": {"resources": {${text}}}`);
  if (!candidatesShowMappings(call.version)) return `{"allocations": {${objects.join(', ')}}}`;
  const served = mappings.map(([suffix, nodes]) => `"${suffix}": [${nodes.map((node) => `"${node.provider.uuid}"`).join(', ')}]`);
  return `{"allocations": {${objects.join(', ')}}, "mappings": {${served.join(', ')}}}`;
}

/** Every provider of the trees that were used; for versions that know no trees only the used ones. */
function summaryTexts(call: Call, trees: Trees, wish: CandidateWish, found: readonly Candidate[], useTrees: boolean): string[] {
  const used = new Set<Node>();
  const roots = new Set<Node>();
  for (const { parts } of found)
    for (const { node } of parts) {
      used.add(node);
      roots.add(node.root);
    }
  const asked = summariesShowAll(call.version) ? undefined : new Set(wish.groups.flatMap((group) => [...group.resources.keys()]));
  const traits = summariesShowTraits(call.version);
  const form = `${traits ? 't' : ''}${useTrees ? 'n' : ''}${asked ? [...asked].sort().join() : '*'}`;
  const texts: string[] = [];
  for (const root of roots)
    for (const node of trees.members.get(root) ?? [])
      if (useTrees || !trees.nested || used.has(node)) texts.push(summaryText(node, form, asked, traits, useTrees));
  return texts;
}

const KEPT_FORMS = 4;
function summaryText(node: Node, form: string, asked: ReadonlySet<string> | undefined, traits: boolean, tree: boolean): string {
  const kept = node.summaries.get(form);
  if (kept !== undefined) return kept;
  const stocks: string[] = [];
  for (const [name, stock] of node.stocks)
    if (!asked || asked.has(name)) stocks.push(`"${name}": {"capacity": ${stock.capacity}, "used": ${stock.used}}`);
  const { uuid, parentUuid, rootUuid } = node.provider;
  const text = `"${uuid}": {"resources": {${stocks.join(', ')}}${traits ? `, "traits": ${JSON.stringify(node.traits)}` : ''}${
    tree ? `, "parent_provider_uuid": ${JSON.stringify(parentUuid)}, "root_provider_uuid": "${rootUuid}"` : ''
  }}`;
  if (node.summaries.size < KEPT_FORMS) node.summaries.set(form, text);
  return text;
}
