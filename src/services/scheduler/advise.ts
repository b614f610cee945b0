import type { Advice, HostRequest } from '../../bus/contracts/scheduler.ts';
import { type Amounts, claimClasses } from '../../model/resources.ts';
import { adviseNewHost } from './advise-new-host.ts';
import type { LiveAsk } from './filter.ts';
import { freeOf, type HostColumns } from './host-columns.ts';
import type { Host } from './live-host.ts';
import { wishOf } from './live-wish.ts';
import type { Rules } from './options.ts';
import { questions } from './questions.ts';

/** One condition less in a request, or null where the request has no such condition. */
interface Relaxation {
  readonly what: string;
  readonly of: (request: HostRequest) => HostRequest | null;
}
const without = (words: Readonly<Record<string, string>>, key: string) =>
  Object.fromEntries(Object.entries(words).filter(([name]) => name !== key));

/** From the smallest to the greatest. */
function relaxations(request: HostRequest): Relaxation[] {
  const { imageProperties, extraSpecs, group, schedulerHints: hints } = request;
  return [
    ...(request.availabilityZone === null ? [] : [change('the availability zone', { availabilityZone: null })]),
    ...Object.keys(imageProperties).map((key) =>
      change(`the image property ${key}`, { imageProperties: without(imageProperties, key) }, (now) => ({
        imageProperties: without(now.imageProperties, key),
      })),
    ),
    ...Object.keys(extraSpecs).map((key) =>
      change(`the extra spec ${key}`, { extraSpecs: without(extraSpecs, key) }, (now) => ({ extraSpecs: without(now.extraSpecs, key) })),
    ),
    ...(Object.keys(hints).length === 0 ? [] : [change('the scheduler hints', { schedulerHints: {} })]),
    ...(group === null ? [] : [change('the server group', { group: null })]),
    ...((request.requestedHost ?? request.requestedHypervisor) === null
      ? []
      : [change('the requested host', { requestedHost: null, requestedHypervisor: null })]),
    ...((request.forcedHost ?? request.forcedNode) === null ? [] : [change('the forced host', { forcedHost: null, forcedNode: null })]),
    ...(request.excludedHosts.length === 0 ? [] : [change('the hosts where it failed before', { excludedHosts: [] })]),
  ];
}
const change = (what: string, more: Partial<HostRequest>, of?: (now: HostRequest) => Partial<HostRequest>): Relaxation => ({
  what,
  of: (request) => ({ ...request, ...(of ? of(request) : more) }),
});

/** Of hosts, at most so many are looked at closely: those that the fewest questions refuse. */
const CLOSELY = 50;

/** The least that would have to change so that a refused request fits: in the request alone if that can be, else also a service that must come up,
 *  else a host that must be added. Applied as it says, the request fits: each advice is tried before it is given. */
export function advise(columns: HostColumns, rules: Rules, ask: LiveAsk): Advice {
  const outside = rules.filters.filter((filter) => filter.outside);
  if (outside.length === 0) return adviseWithin(columns, rules, ask);
  // A plug-in cannot be asked what it would say: what the others would take is told, and that it was not asked.
  const names = outside.map(({ name }) => name).join(', ');
  const advice = adviseWithin(columns, { ...rules, filters: rules.filters.filter((filter) => !filter.outside) }, ask);
  const word = (text: string) => (text === '.' ? `All but ${names} would take it.` : `${text} ${names} was not asked about that.`);
  return { ...advice, text: word(advice.text), tenantText: word(advice.tenantText) };
}

function adviseWithin(columns: HostColumns, rules: Rules, ask: LiveAsk): Advice {
  const { request } = ask;
  const sizes = sized(request, { VCPU: 0, MEMORY_MB: 0, DISK_GB: 0 });
  const asked = questions(columns, rules, askFor(rules, ask, sizes));
  const near: { host: Host; refusals: number; lack: number }[] = [];
  for (const host of columns.hosts) {
    let refusals = 0;
    for (const question of asked) if (!passes(() => question.judge(host).ok)) refusals++;
    const lack = lackOf(columns, host, request.amounts);
    near.push({ host, refusals: refusals + (lack > 0 ? 1 : 0), lack });
  }
  near.sort((a, b) => a.refusals - b.refusals || a.lack - b.lack);
  let least: Tried | undefined;
  for (const { host, refusals } of near.slice(0, CLOSELY)) {
    if (least && (least.operator ? 100 : least.changes) <= refusals) break;
    const found = tryHost(columns, rules, ask, host);
    if (found && (!least || costOf(found) < costOf(least))) least = found;
  }
  if (least) return textOf(least, request, mostOf(columns, rules, ask, least));
  return adviseNewHost(columns, rules, ask, (plain) => askFor(rules, ask, plain));
}

interface Tried {
  readonly request: HostRequest;
  readonly dropped: readonly string[];
  readonly smaller: boolean;
  /** The host whose sizes these are. */
  readonly on: Host;
  readonly changes: number;
  /** The host whose service must come up. */
  readonly operator: Host | null;
}
const costOf = (tried: Tried) => tried.changes + (tried.operator ? 100 : 0);

/** What would have to change for one host; undefined when no change of the request or of the service's state helps. */
function tryHost(columns: HostColumns, rules: Rules, ask: LiveAsk, host: Host): Tried | undefined {
  const fits = (request: HostRequest, on: Host) => {
    // What is left may be what nobody can read: passes() knows that, too.
    return passes(() => questions(columns, rules, askFor(rules, ask, request)).every((question) => question.judge(on).ok));
  };
  const { amounts } = ask.request;
  const small = smaller(columns, host, amounts);
  for (const on of [host, revived(host, ask.now)]) {
    const operator = on === host ? null : host;
    const sizesFit = lackOf(columns, host, amounts) === 0;
    for (const size of sizesFit ? [amounts, ...halves(small ?? amounts)] : small ? halves(small) : []) {
      let request = sized(ask.request, size);
      const shrunk = size !== amounts;
      const dropped: string[] = [];
      if (fits(request, on)) return { request, dropped, smaller: shrunk, on, changes: shrunk ? 1 : 0, operator };
      const all = relaxations(request);
      for (const one of all) {
        const next = one.of(ask.request);
        if (next && fits(sized(next, size), on))
          return { request: sized(next, size), dropped: [one.what], smaller: shrunk, on, changes: 1 + (shrunk ? 1 : 0), operator };
      }
      // Everything is given up, then taken back piece by piece where the host still takes it.
      for (const one of all) request = one.of(request) ?? request;
      if (!fits(request, on)) continue;
      const kept = new Set<Relaxation>();
      for (const one of all) {
        let tried = sized(ask.request, size);
        for (const other of all) if (other !== one && !kept.has(other)) tried = other.of(tried) ?? tried;
        if (!fits(tried, on)) continue;
        kept.add(one);
        request = tried;
      }
      dropped.push(...all.filter((one) => !kept.has(one)).map((one) => one.what));
      return { request, dropped, smaller: shrunk, on, changes: dropped.length + (shrunk ? 1 : 0), operator };
    }
  }
  return undefined;
}

/** The request with a flavor of other sizes. */
const sized = (request: HostRequest, amounts: Amounts): HostRequest =>
  amounts === request.amounts
    ? request
    : {
        ...request,
        amounts,
        flavor: request.flavor && { ...request.flavor, rootGiB: amounts.DISK_GB, ephemeralGiB: 0, swapMiB: 0 },
      };

/** What a host still gives of each class, where that is less than asked for; undefined when it gives nothing of some. */
function smaller(columns: HostColumns, host: Host, amounts: Amounts): Amounts | undefined {
  const less = { ...amounts };
  for (const name of claimClasses) {
    if (amounts[name] === 0) continue;
    const free = Math.floor(freeOf(columns, name, host.index));
    if (free < 1 && name !== 'DISK_GB') return undefined;
    less[name] = Math.min(amounts[name], Math.max(0, free));
  }
  return less;
}
/** Filters of their own ratios may ask for less than what is free: ever smaller sizes. */
function halves(amounts: Amounts): Amounts[] {
  const sizes = [amounts];
  for (let last = amounts; last.VCPU > 1 || last.MEMORY_MB > 1; ) {
    last = { VCPU: half(last.VCPU), MEMORY_MB: half(last.MEMORY_MB), DISK_GB: Math.floor(last.DISK_GB / 2) };
    sizes.push(last);
  }
  return sizes;
}
const half = (amount: number) => (amount <= 1 ? amount : Math.floor(amount / 2));

/** The host as if its service were enabled and had just been heard of. Reads everything else from the true one. */
const revived = (host: Host, now: number): Host =>
  new Proxy(host, {
    get(of, name) {
      if (name === 'disabled' || name === 'forcedDown') return false;
      if (name === 'lastSeenAt') return now;
      return Reflect.get(of, name, of);
    },
  });

function lackOf(columns: HostColumns, host: Host, amounts: Amounts): number {
  let sum = 0;
  for (const name of claimClasses)
    if (amounts[name] > 0) sum += Math.max(0, amounts[name] - freeOf(columns, name, host.index)) / amounts[name];
  return sum;
}
const askFor = (rules: Rules, ask: LiveAsk, request: HostRequest): LiveAsk => ({
  ...ask,
  request,
  wish: wishOf(request, request.group && ask.wish.group ? (ask.wish.group.hosts as ReadonlyMap<string, number>) : new Map(), rules.aliases),
});
/** A filter that throws refuses, here. */
function passes(work: () => boolean): boolean {
  try {
    return work();
  } catch {
    return false;
  }
}

/** The greatest sizes the host would take instead: all that is free, where its filters agree. */
function mostOf(columns: HostColumns, rules: Rules, ask: LiveAsk, { request, on }: Tried): Amounts {
  const free = { ...request.amounts };
  for (const name of claimClasses) {
    const left = freeOf(columns, name, on.index);
    if (Number.isFinite(left)) free[name] = Math.max(free[name], Math.floor(left)); // a class that claims do not cap has no end
  }
  const asked = questions(columns, rules, askFor(rules, ask, sized(request, free)));
  return asked.every((question) => passes(() => question.judge(on).ok)) ? free : request.amounts;
}

function textOf({ request, dropped, smaller: less, operator }: Tried, before: HostRequest, most: Amounts): Advice {
  const { VCPU, MEMORY_MB, DISK_GB } = most;
  const parts: string[] = [];
  if (less) parts.push(`A flavor of at most ${VCPU} VCPU, ${MEMORY_MB} MiB of memory and ${DISK_GB} GiB of disk would fit now`);
  if (dropped.length > 0) parts.push(`${less ? 'without' : 'Without'} ${dropped.join(', ')}${less ? '' : ' it would fit now'}`);
  const text = parts.join(', ');
  const revive = operator && `the compute service of ${operator.host} were enabled and up`;
  return {
    request: before === request ? null : request,
    host: operator?.host ?? null,
    add: null,
    text: operator ? `${text === '' ? 'It would fit' : text} if ${revive}.` : `${text}.`,
    tenantText: operator ? 'A compute host that is disabled or down would have to come back first.' : `${text}.`,
  };
}
