import type { CandidateWish } from '../candidate-groups.ts';
import { hasAny, hasOfEach, type Node, type Trees } from './forest.ts';
import { type Anchors, type Part, product, type Serving, serve, serveOneByOne } from './group-search.ts';

/** One way to serve the whole wish. */
export interface Candidate {
  readonly parts: readonly Part[];
  /** Who serves which group. */
  readonly mappings: readonly (readonly [suffix: string, nodes: readonly Node[]])[];
}

/** How candidates are looked for.  Spec: max_allocation_candidates, allocation_candidates_generation_strategy. */
export interface Generation {
  /** No more than these; null: all there are. */
  readonly max: number | null;
  /** One of each tree in turn, instead of all of one tree before the next. */
  readonly breadthFirst: boolean;
}

/** Ways to serve a wish, at most `limit` of them. Pure. `useTrees` false: as versions see it that know no trees, of each tree one provider at most.
 *  Combinations that cannot be are cut off at their beginning, so that wide trees cost what they yield.  Spec: placement api-ref, "List allocation candidates". */
export function findCandidates(trees: Trees, wish: CandidateWish, useTrees: boolean, how: Generation = allDeep): Candidate[] {
  const { root } = wish;
  const anchors = root
    ? new Set(
        trees.providers.filter(
          (node) => node.parent === null && hasOfEach(node.traitSet, root.required) && !hasAny(node.traitSet, root.forbidden),
        ),
      )
    : undefined;
  if (anchors?.size === 0) return [];
  // Where nothing is lent, one answer cannot come twice.
  const seen = trees.sharing.size > 0 ? new Set<string>() : undefined;
  const found: Candidate[] = [];
  const limit = Math.min(wish.limit ?? Number.POSITIVE_INFINITY, how.max ?? Number.POSITIVE_INFINITY);
  for (const servings of how.breadthFirst ? inTurn(waysByAnchor(trees, wish, anchors)) : ways(trees, wish, anchors)) {
    if (!wish.sameSubtrees.every((suffixes) => shareSubtree(servings, suffixes))) continue;
    const candidate = join(servings);
    if (!useTrees && trees.nested && !onePerTree(candidate)) continue;
    if (seen) {
      const key = keyOf(candidate);
      if (seen.has(key)) continue;
      seen.add(key);
    }
    found.push(candidate);
    if (found.length >= limit) break;
  }
  return found;
}

const allDeep: Generation = { max: null, breadthFirst: false };

/** A serving of each group with a common anchor, in every way that fits. */
function* ways(trees: Trees, wish: CandidateWish, anchors: Anchors): Generator<readonly Serving[]> {
  const [only] = wish.groups;
  if (only && wish.groups.length === 1) {
    for (const [, serving] of serveOneByOne(trees, only, anchors)) yield [serving];
    return;
  }
  for (const some of waysByAnchor(trees, wish, anchors)) yield* some;
}

/** The same for each anchor apart. */
function* waysByAnchor(trees: Trees, wish: CandidateWish, anchors: Anchors): Generator<Iterable<readonly Serving[]>> {
  const served: Map<Node, Iterable<Serving>>[] = [];
  for (const group of wish.groups) {
    const found = serve(trees, group, anchors);
    if (!found) return;
    served.push(found);
  }
  const [first, ...others] = served;
  for (const [anchor, servings] of first ?? []) {
    if (!others.every((other) => other.has(anchor))) continue;
    yield product([servings, ...others.map((other) => other.get(anchor) ?? [])], (begin) => !fits(begin, wish));
  }
}

/** The first of each, then the second of each, and so on. */
function* inTurn<T>(lists: Iterable<Iterable<T>>): Generator<T> {
  let going = Array.from(lists, (list) => list[Symbol.iterator]());
  while (going.length > 0) {
    const left: typeof going = [];
    for (const one of going) {
      const { done, value } = one.next();
      if (done) continue;
      yield value;
      left.push(one);
    }
    going = left;
  }
}

/** Whether the newest of these servings goes with those before it: what all take together is there, and isolated groups have a provider each. */
function fits(begin: readonly Serving[], wish: CandidateWish): boolean {
  const last = begin.at(-1);
  if (!last || begin.length === 1) return true;
  const before = begin.slice(0, -1);
  if (wish.isolate && last.group.suffix !== '')
    for (const other of before) if (other.group.suffix !== '' && other.nodes[0] === last.nodes[0]) return false;
  for (const { node, resourceClass, amount } of last.parts) {
    let sum = amount;
    for (const other of before)
      for (const part of other.parts) if (part.node === node && part.resourceClass === resourceClass) sum += part.amount;
    const stock = node.stocks.get(resourceClass);
    if (!stock || stock.used + sum > stock.capacity || sum > stock.maxUnit) return false;
  }
  return true;
}

/** Whether one of the providers of these groups stands above, or is, all the others. */
function shareSubtree(servings: readonly Serving[], suffixes: ReadonlySet<string>): boolean {
  const nodes = new Set(servings.filter((serving) => suffixes.has(serving.group.suffix)).flatMap((serving) => serving.nodes));
  const isAbove = (top: Node, node: Node) => {
    for (let here: Node | null = node; here; here = here.parent) if (here === top) return true;
    return false;
  };
  for (const top of nodes) if ([...nodes].every((node) => isAbove(top, node))) return true;
  return false;
}

function join(servings: readonly Serving[]): Candidate {
  const mappings = servings.map((serving) => [serving.group.suffix, serving.nodes] as const);
  const [only] = servings;
  if (only && servings.length === 1) return { parts: only.parts, mappings };
  const parts: Part[] = [];
  for (const part of servings.flatMap((serving) => serving.parts)) {
    const at = parts.findIndex((other) => other.node === part.node && other.resourceClass === part.resourceClass);
    const known = parts[at];
    if (known) parts[at] = { ...known, amount: known.amount + part.amount };
    else parts.push(part);
  }
  return { parts, mappings };
}

function onePerTree({ parts }: Candidate): boolean {
  const nodes = new Set(parts.map((part) => part.node));
  return new Set([...nodes].map((node) => node.root)).size === nodes.size;
}

const keyOf = ({ parts, mappings }: Candidate): string =>
  JSON.stringify([
    parts.map(({ node, resourceClass, amount }) => `${node.provider.uuid} ${resourceClass} ${amount}`).sort(),
    mappings.map(([suffix, nodes]) => `${suffix} ${nodes.map((node) => node.provider.uuid).sort()}`).sort(),
  ]);
