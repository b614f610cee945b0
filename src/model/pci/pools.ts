import { truth } from '../numa/constraints.ts';
import type { GuestCell, HostNuma } from '../numa/topology.ts';

/** Equal devices of a host, how many of them are free, and their tags.  Spec: Nova's PciDevicePool. */
export interface PciPool {
  readonly vendor_id: string;
  readonly product_id: string;
  readonly numa_node: number | null;
  readonly count: number;
  readonly [tag: string]: unknown;
}
export interface PciRequest {
  readonly count: number;
  /** A device must match one of these. */
  readonly spec: readonly Readonly<Record<string, unknown>>[];
  /** Null: for a port. */
  readonly alias: string | null;
  readonly numaPolicy: 'legacy' | 'required' | 'preferred' | 'socket' | null;
  readonly requestId: string | null;
}
type Mappings = Readonly<Record<string, readonly string[]>>;
/** Where the guest's cells stand. */
export interface Near {
  readonly cells: readonly GuestCell[];
  readonly host: HostNuma;
}

/** Pools in the order in which devices are taken: those with few tags first. */
export const inOrder = (pools: readonly PciPool[]): PciPool[] => pools.toSorted((a, b) => Object.keys(a).length - Object.keys(b).length);

/** The pools after the requests took theirs; null: one of them gets none. `pools` must be in order.
 *  `partly` is told what was taken before the request that failed. */
export function takeDevices(
  pools: readonly PciPool[],
  requests: readonly PciRequest[],
  mappings: Mappings,
  near: Near | null,
  partly?: (pools: PciPool[]) => void,
): PciPool[] | null {
  let left: PciPool[] = pools.slice();
  for (const request of requests) {
    const next = takeOne(left, request, mappings, near);
    if (!next) {
      partly?.(left);
      return null;
    }
    left = next;
  }
  return left;
}
export const supportsRequests = (pools: readonly PciPool[], requests: readonly PciRequest[], mappings: Mappings, near: Near | null) =>
  takeDevices(pools, requests, mappings, near) !== null;

function takeOne(pools: readonly PciPool[], request: PciRequest, mappings: Mappings, near: Near | null): PciPool[] | null {
  const providers = providersOf(request, mappings);
  const fit = matching(pools, request, near, providers);
  if (!fit || fit.length === 0) return null;
  const taken = new Map<PciPool, number>();
  if (providers.length > 0) {
    const named = pools.flatMap((pool) => (typeof pool.rp_uuid === 'string' ? [pool.rp_uuid] : []));
    if (new Set(named).size !== named.length) return null; // one provider in two pools: nobody can say which is meant
    for (const pool of fit) taken.set(pool, providers.filter((uuid) => uuid === pool.rp_uuid).length);
  } else {
    let wanted = request.count;
    for (const pool of fit) {
      taken.set(pool, Math.min(pool.count, wanted));
      wanted -= Math.min(pool.count, wanted);
      if (wanted === 0) break;
    }
  }
  return pools.flatMap((pool) => {
    const count = taken.get(pool);
    if (count === undefined) return [pool];
    return pool.count > count ? [{ ...pool, count: pool.count - count }] : [];
  });
}
function providersOf(request: PciRequest, mappings: Mappings): string[] {
  if (request.alias === null) return [];
  const groups = Object.entries(mappings);
  if (groups.length > 0)
    return groups.flatMap(([group, uuids]) => (group.startsWith(request.requestId ?? 'None') ? uuids.slice(0, 1) : []));
  const named = request.spec[0]?.rp_uuids;
  return typeof named === 'string' && named !== '' ? named.split(',') : [];
}

const countOf = (pools: readonly PciPool[]) => pools.reduce((sum, pool) => sum + pool.count, 0);
const NOT_COMPARED = ['resource_class', 'traits', 'rp_uuids'];
const small = (value: unknown) => (typeof value === 'string' ? value.toLowerCase() : (value ?? null));
const matches = (pool: PciPool, spec: Readonly<Record<string, unknown>>) =>
  Object.entries(spec).every(([key, value]) => NOT_COMPARED.includes(key) || small(pool[key]) === small(value));

function matching(pools: readonly PciPool[], request: PciRequest, near: Near | null, providers: readonly string[]): PciPool[] | null {
  const { spec, count } = request;
  const enough = (list: readonly PciPool[]) => countOf(list) >= count;
  let fit = pools.filter((pool) => spec.some((one) => matches(pool, one)));
  if (!enough(fit)) return null;
  if (near && near.cells.length > 0) fit = nearTo(fit, request, near);
  if (!enough(fit)) return null;
  // Whole cards, vdpa devices and remote-managed ones are only for who asks for them.
  if (spec.every((one) => one.dev_type !== 'type-PF')) fit = fit.filter((pool) => pool.dev_type !== 'type-PF');
  if (!enough(fit)) return null;
  if (spec.every((one) => one.dev_type !== 'vdpa')) fit = fit.filter((pool) => pool.dev_type !== 'vdpa');
  if (spec.every((one) => !truth(one.remote_managed))) fit = fit.filter((pool) => !truth(pool.remote_managed));
  if (providers.length > 0)
    fit = fit.filter(({ rp_uuid, count: have }) => {
      const wanted = providers.filter((uuid) => uuid === rp_uuid).length;
      return wanted > 0 && have >= wanted;
    });
  for (const word of ['true', 'false'])
    if (spec.every((one) => one.live_migratable === word)) {
      fit = fit.filter((pool) => pool.live_migratable === word);
      break;
    }
  return enough(fit) ? fit : null;
}

/** Pools near the guest's cells, by the request's policy. */
function nearTo(pools: PciPool[], { numaPolicy, count }: PciRequest, { cells, host }: Near): PciPool[] {
  const ids = new Set<number | null>(cells.map((cell) => cell.id));
  const on = (wanted: ReadonlySet<number | null>) => pools.filter((pool) => wanted.has(pool.numa_node ?? null));
  const exact = on(ids);
  if (numaPolicy === 'required' || countOf(exact) >= count) return exact;
  if (numaPolicy === 'socket') {
    if (host.cells.some((cell) => cell.socket === null)) return [];
    const sockets = new Set(host.cells.filter((cell) => ids.has(cell.id)).map((cell) => cell.socket));
    return on(new Set(host.cells.filter((cell) => sockets.has(cell.socket)).map((cell) => cell.id)));
  }
  ids.add(null);
  const loose = on(ids);
  if (numaPolicy !== 'preferred' || countOf(loose) >= count) return loose;
  const far = (pool: PciPool) => Number(!ids.has(pool.numa_node ?? null));
  return pools.toSorted((a, b) => far(a) - far(b));
}
