/** Resource providers and wishes as plain data, and the slowest way to serve the ones from the others: everything is tried. */
export interface PlainProvider {
  readonly name: string;
  readonly parent: string | null;
  readonly has: Readonly<Record<string, PlainStock>>;
  readonly traits: readonly string[];
  readonly aggregates: readonly string[];
}
export interface PlainStock {
  readonly capacity: number;
  readonly used: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
}
export interface PlainGroup {
  /** Empty: may take from several providers of a tree. */
  readonly suffix: string;
  readonly resources: Readonly<Record<string, number>>;
  /** One of each. */
  readonly required: readonly (readonly string[])[];
  readonly forbidden: readonly string[];
  readonly memberOf: readonly (readonly string[])[];
  readonly notMemberOf: readonly string[];
  readonly inTree: string | null;
}
export interface PlainWish {
  readonly groups: readonly PlainGroup[];
  readonly isolate: boolean;
  readonly rootRequired: readonly string[];
  readonly rootForbidden: readonly string[];
  readonly sameSubtrees: readonly (readonly string[])[];
}
export const LENDS = 'MISC_SHARES_VIA_AGGREGATE';

/** One group's share: which provider gives which class. A group without resources only names who is meant. */
interface Share {
  readonly suffix: string;
  readonly gives: readonly (readonly [provider: PlainProvider, name: string, amount: number])[];
  readonly by: readonly PlainProvider[];
}

/** Every candidate as one line of text: what is taken of whom, and who serves which group.  Spec: placement api-ref, "List allocation candidates". */
export function allCandidates(providers: readonly PlainProvider[], wish: PlainWish): Set<string> {
  const byName = new Map(providers.map((one) => [one.name, one]));
  const above = (one: PlainProvider): PlainProvider[] => {
    const parent = one.parent === null ? undefined : byName.get(one.parent);
    return parent ? [one, ...above(parent)] : [one];
  };
  const rootOf = (one: PlainProvider) => above(one).at(-1) ?? one;
  const shareAny = (some: readonly string[], others: readonly string[]) => some.some((one) => others.includes(one));
  const oneOfEach = (have: readonly string[], sets: readonly (readonly string[])[]) => sets.every((set) => shareAny(have, set));
  const can = (one: PlainProvider, name: string, amount: number) => {
    const stock = one.has[name];
    if (!stock) return false;
    return stock.used + amount <= stock.capacity && amount >= stock.min && amount <= stock.max && amount % stock.step === 0;
  };

  const found = new Set<string>();
  for (const root of providers.filter((one) => one.parent === null)) {
    if (!wish.rootRequired.every((trait) => root.traits.includes(trait)) || shareAny(root.traits, wish.rootForbidden)) continue;
    const tree = providers.filter((one) => rootOf(one) === root);
    const lent = providers.filter(
      (one) => rootOf(one) !== root && one.traits.includes(LENDS) && tree.some((member) => shareAny(member.aggregates, one.aggregates)),
    );
    const sharesOf = (group: PlainGroup): Share[] => {
      const { suffix, resources, required, forbidden, memberOf, notMemberOf } = group;
      const within = group.inTree === null ? undefined : rootOf(byName.get(group.inTree)!);
      const names = Object.keys(resources);
      if (suffix !== '')
        return [...tree, ...lent]
          .filter((one) => within === undefined || rootOf(one) === within)
          .filter((one) => names.every((name) => can(one, name, resources[name]!)))
          .filter((one) => oneOfEach(one.traits, required) && !shareAny(one.traits, forbidden))
          .filter((one) => oneOfEach(one.aggregates, memberOf) && !shareAny(one.aggregates, notMemberOf))
          .map((one) => ({ suffix, by: [one], gives: names.map((name) => [one, name, resources[name]!] as const) }));
      // An aggregate of the root spans its whole tree; who lends must be in it itself.
      const allowed = (one: PlainProvider) =>
        (oneOfEach(one.aggregates, memberOf) || (tree.includes(one) && oneOfEach(root.aggregates, memberOf))) &&
        !shareAny(one.aggregates, notMemberOf) &&
        !shareAny(root.aggregates, notMemberOf) &&
        !shareAny(one.traits, forbidden);
      const from = within === undefined ? [...tree, ...lent] : within === root ? tree : [];
      const ways = every(names.map((name) => from.filter((one) => can(one, name, resources[name]!) && allowed(one))));
      return ways
        .map((chosen) => ({
          suffix,
          by: [...new Set(chosen)],
          gives: chosen.map((one, at) => [one, names[at]!, resources[names[at]!]!] as const),
        }))
        .filter(({ by }) =>
          oneOfEach(
            by.flatMap((one) => one.traits),
            required,
          ),
        );
    };
    for (const shares of every(wish.groups.map(sharesOf))) {
      const taken = new Map<string, { one: PlainProvider; name: string; sum: number }>();
      for (const [one, name, amount] of shares.flatMap(({ gives }) => gives)) {
        const key = `${one.name} ${name}`;
        taken.set(key, { one, name, sum: (taken.get(key)?.sum ?? 0) + amount });
      }
      const fits = [...taken.values()].every(({ one, name, sum }) => {
        const stock = one.has[name];
        return stock !== undefined && stock.used + sum <= stock.capacity && sum <= stock.max;
      });
      if (!fits) continue;
      const apart = shares.filter(({ suffix }) => suffix !== '').map(({ by }) => by[0]);
      if (wish.isolate && new Set(apart).size < apart.length) continue;
      const together = wish.sameSubtrees.every((suffixes) => {
        const meant = shares.filter(({ suffix }) => suffixes.includes(suffix)).flatMap(({ by }) => by);
        return meant.some((top) => meant.every((one) => above(one).includes(top)));
      });
      if (!together) continue;
      const takes = [...taken].map(([key, { sum }]) => `${key}:${sum}`).sort();
      const serves = shares.map(({ suffix, by }) => `${suffix}=${by.map((one) => one.name).sort()}`).sort();
      found.add(`${takes.join(' ')} | ${serves.join(' ')}`);
    }
  }
  return found;
}

/** One of each list, in every way. */
function every<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((ways, list) => ways.flatMap((way) => list.map((one) => [...way, one])), [[]]);
}
