import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ForestProvider } from '../../src/db/tables/placement/forest.ts';
import type { Call } from '../../src/http/call.ts';
import { readCandidateWish } from '../../src/services/placement/candidate-groups.ts';
import { placementVersions } from '../../src/services/placement/microversions.ts';
import { type Candidate, findCandidates } from '../../src/services/placement/search/find-candidates.ts';
import { plant, type Trees } from '../../src/services/placement/search/forest.ts';
import { allCandidates, LENDS, type PlainGroup, type PlainProvider, type PlainWish } from './candidates-oracle.ts';

const CLASSES = ['VCPU', 'MEMORY_MB', 'VGPU'];
/** Most wishes have no word of this. */
const rarely = <T>(usual: T, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary });
const TRAITS = ['HW_CPU_X86_AVX', 'CUSTOM_A', 'CUSTOM_B', LENDS];
const uuid = (at: number) => `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`;
const AGGREGATES = [uuid(901), uuid(902)];
const some = (list: readonly string[], most = list.length): fc.Arbitrary<readonly string[]> =>
  fc.uniqueArray(fc.constantFrom(...list), { maxLength: most });

type Sets = readonly (readonly string[])[];
const several = (list: readonly string[]) => some(list, 2).filter((set) => set.length > 0);

const stock = fc.record({
  capacity: fc.integer({ min: 2, max: 9 }),
  used: fc.constantFrom(0, 0, 0, 2),
  min: fc.constantFrom(1, 1, 1, 2),
  max: fc.constantFrom(9, 9, 3),
  step: fc.constantFrom(1, 1, 1, 2),
});
/** A few small trees: each provider stands under one of those before it, or alone. */
const forest = fc
  .array(
    fc.record({
      under: fc.nat(9),
      has: fc.dictionary(fc.constantFrom(...CLASSES), stock, { minKeys: 1, maxKeys: 4 }),
      traits: some(TRAITS),
      aggregates: some(AGGREGATES),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((rows) =>
    rows.map(({ under, ...row }, at): PlainProvider => ({ name: uuid(at), parent: at > 0 && under < at ? uuid(under) : null, ...row })),
  );
const group = (suffix: string): fc.Arbitrary<PlainGroup> =>
  fc.record({
    suffix: fc.constant(suffix),
    resources: fc.dictionary(fc.constantFrom(...CLASSES), fc.integer({ min: 1, max: 4 }), { minKeys: 1, maxKeys: 2 }),
    required: rarely<Sets>([], fc.array(several(TRAITS), { maxLength: 2 })),
    forbidden: rarely<readonly string[]>([], some(TRAITS, 1)),
    memberOf: rarely<Sets>([], fc.array(several(AGGREGATES), { maxLength: 2 })),
    notMemberOf: rarely<readonly string[]>([], some(AGGREGATES, 1)),
    inTree: rarely<string | null>(null, fc.nat(6).map(uuid)),
  });
/** Contradictions are refused before anybody looks. */
const sound = ({ required, forbidden }: PlainGroup) => !required.some((set) => set.every((trait) => forbidden.includes(trait)));
const wish = fc
  .record({
    plain: fc.option(group('')),
    named: fc.tuple(group('_A'), group('_B'), group('_C')),
    count: fc.nat(3),
    bare: fc.boolean(),
    isolate: fc.boolean(),
    rootRequired: rarely<readonly string[]>([], some(TRAITS, 1)),
    rootForbidden: rarely<readonly string[]>([], some(TRAITS, 1)),
    subtree: fc.boolean(),
  })
  .map(({ plain, named, count, bare, isolate, rootRequired, rootForbidden, subtree }): PlainWish => {
    let groups = named.slice(0, plain ? count : Math.max(1, count));
    const together = subtree && groups.length > 1;
    // A group of a subtree may ask for a provider and nothing of it.
    const [first, ...rest] = groups;
    if (together && bare && first && first.required.length + first.memberOf.length > 0) groups = [{ ...first, resources: {} }, ...rest];
    return {
      groups: [...(plain ? [plain] : []), ...groups],
      isolate,
      rootRequired,
      rootForbidden: rootForbidden.filter((trait) => !rootRequired.includes(trait)),
      sameSubtrees: together ? [groups.slice(0, 2).map(({ suffix }) => suffix)] : [],
    };
  })
  .filter(({ groups }) => groups.every(sound));

/** The wish as a client writes it. */
function queryOf({ groups, isolate, rootRequired, rootForbidden, sameSubtrees }: PlainWish): Record<string, string[]> {
  const query: Record<string, string[]> = {};
  const put = (word: string, ...values: string[]) => {
    if (values.length > 0) query[word] = values;
  };
  const anyOf = (sets: readonly (readonly string[])[]) => sets.map((set) => (set.length > 1 ? `in:${set.join(',')}` : (set[0] ?? '')));
  const not = (names: readonly string[]) => names.map((name) => `!${name}`);
  for (const { suffix, resources, required, forbidden, memberOf, notMemberOf, inTree } of groups) {
    const amounts = Object.entries(resources).map(([name, amount]) => `${name}:${amount}`);
    if (amounts.length > 0) put(`resources${suffix}`, amounts.join(','));
    put(`required${suffix}`, ...anyOf(required), ...not(forbidden));
    put(`member_of${suffix}`, ...anyOf(memberOf), ...not(notMemberOf));
    if (inTree !== null) put(`in_tree${suffix}`, inTree);
  }
  if (rootRequired.length + rootForbidden.length > 0) put('root_required', [...rootRequired, ...not(rootForbidden)].join(','));
  put('same_subtree', ...sameSubtrees.map((suffixes) => suffixes.join(',')));
  if (groups.length > 1) put('group_policy', isolate ? 'isolate' : 'none');
  return query;
}

function treesOf(providers: readonly PlainProvider[]): Trees {
  const rootOf = (one: PlainProvider): string =>
    one.parent === null ? one.name : rootOf(providers.find(({ name }) => name === one.parent)!);
  return plant({
    providers: providers.map((one, at) => {
      const row = { id: at + 1, uuid: one.name, name: one.name, generation: 0, touches: 0, created_at: 0, updated_at: 0 };
      return { ...row, parent_uuid: one.parent, root_uuid: rootOf(one) } as unknown as ForestProvider; // numbered, as a row that was read
    }),
    inventories: providers.flatMap(({ name, has }) =>
      Object.entries(has).map(([resource_class, { capacity, used, min, max, step }]) => ({
        ...{ provider_uuid: name, resource_class, total: capacity, reserved: 0, allocation_ratio: 1 },
        ...{ capacity, used, min_unit: min, max_unit: max, step_size: step },
      })),
    ),
    traits: providers.flatMap(({ name, traits }) => traits.map((trait) => ({ provider_uuid: name, trait }))),
    aggregates: providers.flatMap(({ name, aggregates }) => aggregates.map((one) => ({ provider_uuid: name, aggregate_uuid: one }))),
  });
}
const textOf = ({ parts, mappings }: Candidate): string => {
  const takes = parts.map(({ node, resourceClass, amount }) => `${node.provider.uuid} ${resourceClass}:${amount}`).sort();
  const serves = mappings.map(([suffix, nodes]) => `${suffix}=${nodes.map((node) => node.provider.uuid).sort()}`).sort();
  return `${takes.join(' ')} | ${serves.join(' ')}`;
};

/** Random small forests and wishes, as queries: the candidates are those of the oracle, each once; cut off or in another order they are some of them. Answers
 *  how many wishes had any. */
export function candidatesHold(runs: number, seed?: number): { readonly served: number; readonly nothing: number } {
  const counts = { served: 0, nothing: 0 };
  const version = placementVersions.max;
  fc.assert(
    fc.property(forest, wish, fc.integer({ min: 1, max: 4 }), fc.boolean(), (providers, wanted, limit, breadthFirst) => {
      const known = new Set(providers.map(({ name }) => name));
      const asked = {
        ...wanted,
        groups: wanted.groups.map((one) => ({ ...one, inTree: one.inTree !== null && known.has(one.inTree) ? one.inTree : null })),
      };
      const read = readCandidateWish({ query: queryOf(asked), version } as unknown as Call); // it reads nothing else
      const trees = treesOf(providers);
      const all = allCandidates(providers, { ...asked, isolate: asked.isolate && asked.groups.length > 1 });
      const found = findCandidates(trees, read, true).map(textOf);
      assert.deepEqual([...found].sort(), [...all].sort());
      counts[found.length > 0 ? 'served' : 'nothing']++;
      const few = findCandidates(trees, { ...read, limit }, true, { max: null, breadthFirst }).map(textOf);
      assert.equal(few.length, Math.min(limit, all.size));
      assert.ok(few.every((one) => all.has(one)));
      assert.equal(new Set(few).size, few.length);
      const most = findCandidates(trees, read, true, { max: 3, breadthFirst }).map(textOf);
      assert.equal(most.length, Math.min(3, all.size));
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  );
  return counts;
}
