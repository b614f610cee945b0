import type { Database } from '../../../db/engine.ts';
import {
  type ForestMark,
  type ForestProvider,
  type ForestRows,
  readForest,
  readForestMark,
  readSome,
  readTouches,
  readTouchSums,
} from '../../../db/tables/placement/forest.ts';
import { type Provider, toProvider } from '../../../db/tables/placement/providers.ts';
import type { InventoriesTable } from '../../../db/tables/placement/tables.ts';
import { SHARES, sortTraits } from '../../../model/placement-names.ts';

/** What is left of one resource class at a provider. */
export interface Stock {
  readonly capacity: number;
  readonly used: number;
  readonly minUnit: number;
  readonly maxUnit: number;
  readonly stepSize: number;
}
/** A provider in memory, with its place in the forest. */
export interface Node {
  provider: Provider;
  touches: number;
  parent: Node | null;
  root: Node;
  readonly traits: readonly string[];
  readonly traitSet: ReadonlySet<string>;
  readonly aggregates: ReadonlySet<string>;
  stocks: ReadonlyMap<string, Stock>;
  /** Its line in provider_summaries, as JSON text: kept, since most providers change rarely. By what the asker's version shows. */
  readonly summaries: Map<string, string>;
}
export interface Trees {
  readonly providers: readonly Node[];
  readonly byUuid: ReadonlyMap<string, Node>;
  /** Members of each tree by its root. */
  readonly members: ReadonlyMap<Node, readonly Node[]>;
  /** Who offers a resource class. */
  readonly offering: ReadonlyMap<string, readonly Node[]>;
  readonly byAggregate: ReadonlyMap<string, readonly Node[]>;
  /** Those that lend what they have to all who share an aggregate with them. */
  readonly sharing: ReadonlySet<Node>;
  /** Whether any provider has a parent. */
  readonly nested: boolean;
}
/** Every provider, kept in memory and brought up to date when asked: one statement tells whether anything changed. */
export interface Forest {
  current(): Promise<Trees>;
}

/** A question asked after a commit sees that commit. Where only numbers changed, only providers that were touched are read again. */
export function openForest(db: Database): Forest {
  let kept: { trees: Trees; mark: ForestMark; sums: ReadonlyMap<number, number> } | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  async function look(): Promise<Trees> {
    const mark = await readForestMark(db.read);
    if (kept && kept.mark.tree === mark.tree && kept.mark.touches === mark.touches) return kept.trees;
    const sums = await readTouchSums(db.read);
    if (kept?.mark.tree === mark.tree) {
      const stale = await touched(db, kept.trees, kept.sums, sums);
      if (stale && stale.length <= kept.trees.providers.length / 3) {
        kept = { trees: await refresh(db, kept.trees, stale), mark, sums };
        return kept.trees;
      }
    }
    kept = { trees: await load(db), mark, sums };
    return kept.trees;
  }
  return {
    current() {
      const mine = turn.then(look);
      turn = mine.catch(() => undefined);
      return mine;
    },
  };
}

const stockOf = (row: InventoriesTable): Stock => ({
  capacity: row.capacity,
  used: row.used,
  minUnit: row.min_unit,
  maxUnit: row.max_unit,
  stepSize: row.step_size,
});
function grouped<T extends { provider_uuid: string }>(rows: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(row.provider_uuid);
    if (group) group.push(row);
    else groups.set(row.provider_uuid, [row]);
  }
  return groups;
}
const stocksOf = (rows: readonly InventoriesTable[] = []) => new Map(rows.map((row) => [row.resource_class, stockOf(row)]));

const load = async (db: Database): Promise<Trees> => plant(await readForest(db.read));

/** The trees that rows make, providers in their order. */
export function plant(rows: ForestRows): Trees {
  const [inventories, traits, aggregates] = [grouped(rows.inventories), grouped(rows.traits), grouped(rows.aggregates)];
  const byUuid = new Map<string, Node>();
  const make = (row: ForestProvider): Node => {
    const names = sortTraits((traits.get(row.uuid) ?? []).map((one) => one.trait));
    const node = {
      provider: toProvider(row),
      touches: row.touches,
      parent: null,
      traits: names,
      traitSet: new Set(names),
      aggregates: new Set((aggregates.get(row.uuid) ?? []).map((one) => one.aggregate_uuid)),
      stocks: stocksOf(inventories.get(row.uuid)),
      summaries: new Map<string, string>(),
    } as Partial<Node> as Node; // its root follows below, when all are there
    node.root = node;
    byUuid.set(row.uuid, node);
    return node;
  };
  const providers = rows.providers.map(make);
  for (const node of providers) {
    node.parent = byUuid.get(node.provider.parentUuid ?? '') ?? null;
    node.root = byUuid.get(node.provider.rootUuid) ?? node;
  }
  return indexed(providers);
}

function indexed(providers: readonly Node[]): Trees {
  const members = new Map<Node, Node[]>();
  const offering = new Map<string, Node[]>();
  const byAggregate = new Map<string, Node[]>();
  const sharing = new Set<Node>();
  const put = <K>(map: Map<K, Node[]>, key: K, node: Node) => {
    const list = map.get(key);
    if (list) list.push(node);
    else map.set(key, [node]);
  };
  let nested = false;
  for (const node of providers) {
    put(members, node.root, node);
    for (const name of node.stocks.keys()) put(offering, name, node);
    for (const uuid of node.aggregates) put(byAggregate, uuid, node);
    if (node.traitSet.has(SHARES)) sharing.add(node);
    nested ||= node.parent !== null;
  }
  const byUuid = new Map(providers.map((node) => [node.provider.uuid, node]));
  return { providers, byUuid, members, offering, byAggregate, sharing, nested };
}

/** Those that were touched, or undefined when one is there that was not: then everything must be read. */
async function touched(
  db: Database,
  trees: Trees,
  before: ReadonlyMap<number, number>,
  now: ReadonlyMap<number, number>,
): Promise<string[] | undefined> {
  const stale: string[] = [];
  for (const [bucket, sum] of now) {
    if (before.get(bucket) === sum) continue;
    for (const { uuid, touches } of await readTouches(db.read, bucket)) {
      const node = trees.byUuid.get(uuid);
      if (!node) return undefined;
      if (node.touches !== touches) stale.push(uuid);
    }
  }
  return stale;
}

/** Reads some again, in place. */
async function refresh(db: Database, trees: Trees, stale: readonly string[]): Promise<Trees> {
  const rows = await readSome(db.read, stale);
  const inventories = grouped(rows.inventories);
  let same = true;
  for (const row of rows.providers) {
    const node = trees.byUuid.get(row.uuid);
    if (!node) continue;
    const stocks = stocksOf(inventories.get(row.uuid));
    same &&= stocks.size === node.stocks.size && [...stocks.keys()].every((name) => node.stocks.has(name));
    node.provider = toProvider(row);
    node.touches = row.touches;
    node.stocks = stocks;
    node.summaries.clear();
  }
  return same ? trees : indexed(trees.providers);
}

/** Whether a provider can give this much of a class. */
export function gives(node: Node, resourceClass: string, amount: number): boolean {
  const stock = node.stocks.get(resourceClass);
  return (
    stock !== undefined &&
    stock.used + amount <= stock.capacity &&
    amount >= stock.minUnit &&
    amount <= stock.maxUnit &&
    amount % stock.stepSize === 0
  );
}
/** Whether of each set of traits one is there. */
export const hasOfEach = (traits: ReadonlySet<string>, sets: readonly ReadonlySet<string>[]): boolean =>
  sets.every((set) => {
    for (const name of set) if (traits.has(name)) return true;
    return false;
  });
export const hasAny = (traits: ReadonlySet<string>, names: ReadonlySet<string>): boolean => {
  for (const name of names) if (traits.has(name)) return true;
  return false;
};
