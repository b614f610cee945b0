import type { Group } from '../candidate-groups.ts';
import { gives, hasAny, hasOfEach, type Node, type Trees } from './forest.ts';

/** So much of a class from this provider. */
export interface Part {
  readonly node: Node;
  readonly resourceClass: string;
  readonly amount: number;
}
/** One way to serve one group. */
export interface Serving {
  readonly group: Group;
  readonly parts: readonly Part[];
  /** Who serves: for a group without resources nobody gives anything, but somebody is meant. */
  readonly nodes: readonly Node[];
}
/** The roots that may carry an answer, or undefined: any. */
export type Anchors = ReadonlySet<Node> | undefined;

const inAggregates = (node: Node, wish: Pick<Group, 'memberOf'>) => hasOfEach(node.aggregates, wish.memberOf);

/** Every way to serve a group, by the root of the tree that anchors it. Servings of one anchor come lazily: there may be very many. Null: none at all. */
export function serve(trees: Trees, group: Group, anchors: Anchors): Map<Node, Iterable<Serving>> | null {
  const tree = treeOf(trees, group);
  if (tree === null) return null;
  if (usesTrees(trees, group)) return serveFromTrees(trees, group, anchors, tree);
  const found = new Map<Node, Serving[]>();
  for (const [anchor, serving] of waysFromOne(trees, group, anchors, tree)) {
    const list = found.get(anchor);
    if (list) list.push(serving);
    else found.set(anchor, [serving]);
  }
  return found.size > 0 ? found : null;
}

/** The same as single ways, none looked for before it is asked for: who wants a few of ten thousand pays for a few. */
export function* serveOneByOne(trees: Trees, group: Group, anchors: Anchors): Generator<readonly [anchor: Node, serving: Serving]> {
  const tree = treeOf(trees, group);
  if (tree === null) return;
  if (!usesTrees(trees, group)) return yield* waysFromOne(trees, group, anchors, tree);
  for (const [anchor, servings] of serveFromTrees(trees, group, anchors, tree) ?? [])
    for (const serving of servings) yield [anchor, serving];
}

const usesTrees = (trees: Trees, group: Group) => group.suffix === '' && (trees.sharing.size > 0 || trees.nested);
/** The tree a group must be served from; undefined: any, null: one that is not there. */
const treeOf = (trees: Trees, group: Group): Node | undefined | null =>
  group.inTree === undefined ? undefined : (trees.byUuid.get(group.inTree)?.root ?? null);

/** Roots of trees that have a member in one of the lender's aggregates: they may borrow from it. */
export function borrowers(trees: Trees, lender: Node): Set<Node> {
  const roots = new Set<Node>();
  for (const uuid of lender.aggregates) for (const node of trees.byAggregate.get(uuid) ?? []) roots.add(node.root);
  return roots;
}

/** All resources of the group from one and the same provider. */
function* waysFromOne(
  trees: Trees,
  group: Group,
  anchors: Anchors,
  tree: Node | undefined,
): Generator<readonly [anchor: Node, serving: Serving]> {
  const resources = [...group.resources];
  // A group without resources must be told apart by something that is there.
  if (resources.length === 0 && group.required.length === 0 && group.memberOf.length === 0) return;
  for (const node of leastOffered(trees, resources)) {
    if (tree && node.root !== tree) continue;
    if (!resources.every(([name, amount]) => gives(node, name, amount))) continue;
    if (!hasOfEach(node.traitSet, group.required) || hasAny(node.traitSet, group.forbidden)) continue;
    if (!inAggregates(node, group) || hasAny(node.aggregates, group.notMemberOf)) continue;
    const serving = { group, nodes: [node], parts: resources.map(([resourceClass, amount]) => ({ node, resourceClass, amount })) };
    if (!anchors || anchors.has(node.root)) yield [node.root, serving];
    if (!trees.sharing.has(node)) continue;
    for (const root of borrowers(trees, node)) if (root !== node.root && (!anchors || anchors.has(root))) yield [root, serving];
  }
}

function leastOffered(trees: Trees, resources: readonly (readonly [string, number])[]): readonly Node[] {
  let least: readonly Node[] = trees.providers;
  for (const [name] of resources) {
    const offering = trees.offering.get(name) ?? [];
    if (offering.length < least.length) least = offering;
  }
  return least;
}

/** Each resource from any provider of the tree, or from one that lends to it. */
function serveFromTrees(trees: Trees, group: Group, anchors: Anchors, tree: Node | undefined): Map<Node, Iterable<Serving>> | null {
  let common: Map<Node, Map<string, Node[]>> | undefined;
  for (const [name, amount] of group.resources) {
    const givers = new Map<Node, Node[]>();
    const put = (anchor: Node, node: Node) => {
      if (anchors && !anchors.has(anchor)) return;
      // An aggregate of the root spans its whole tree.
      if (!inAggregates(node, group) && !inAggregates(anchor, group)) return;
      if (hasAny(node.aggregates, group.notMemberOf) || hasAny(anchor.aggregates, group.notMemberOf)) return;
      const list = givers.get(anchor);
      if (list) {
        if (!list.includes(node)) list.push(node);
      } else givers.set(anchor, [node]);
    };
    for (const node of trees.offering.get(name) ?? []) {
      if ((tree && node.root !== tree) || !gives(node, name, amount)) continue;
      put(node.root, node);
      if (tree === undefined && trees.sharing.has(node) && inAggregates(node, group))
        for (const root of borrowers(trees, node)) put(root, node);
    }
    const before: Map<Node, Map<string, Node[]>> | undefined = common;
    common = new Map();
    for (const [anchor, nodes] of givers) {
      const others = before ? before.get(anchor) : new Map<string, Node[]>();
      if (others) common.set(anchor, others.set(name, nodes));
    }
    if (common.size === 0) return null;
  }
  if (!common) return null;
  return new Map([...common].map(([anchor, givers]) => [anchor, combinations(group, givers)]));
}

/** One giver for each class, in every way that has the traits: all of the required ones together, none of the forbidden at any. */
function combinations(group: Group, givers: ReadonlyMap<string, readonly Node[]>): Iterable<Serving> {
  const classes = [...givers].map(([name, nodes]) => [name, nodes.filter((node) => !hasAny(node.traitSet, group.forbidden))] as const);
  return {
    *[Symbol.iterator]() {
      for (const nodes of product(classes.map(([, list]) => list))) {
        if (group.required.length > 0 && !hasOfEach(new Set(nodes.flatMap((node) => node.traits)), group.required)) continue;
        const parts = nodes.map((node, at) => {
          const resourceClass = classes[at]?.[0] ?? '';
          return { node, resourceClass, amount: group.resources.get(resourceClass) ?? 0 };
        });
        yield { group, parts, nodes: [...new Set(nodes)] };
      }
    },
  };
}

/** One of each, in every way; `bad` cuts off all that begins so. */
export function* product<T>(lists: readonly Iterable<T>[], bad: (begin: readonly T[]) => boolean = () => false): Generator<T[]> {
  const chosen: T[] = [];
  function* choose(at: number): Generator<T[]> {
    const list = lists[at];
    if (!list) {
      yield [...chosen];
      return;
    }
    for (const one of list) {
      chosen.push(one);
      if (!bad(chosen)) yield* choose(at + 1);
      chosen.pop();
    }
  }
  yield* choose(0);
}
