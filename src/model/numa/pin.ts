import { freeCpus, type GuestCell, type HostCell } from './topology.ts';

type Core = readonly number[];
const ascending = (set: ReadonlySet<number>): number[] => [...set].sort((a, b) => a - b);

/** Pins a guest cell's own CPUs onto free ones of a host's cell, by the thread policy, with some kept for the emulator's threads. Null: no way.
 *  Spec: Nova's packing of instances onto cores. */
export function pin(host: HostCell, guest: GuestCell, reserve: number): Pick<GuestCell, 'pinning' | 'reserved'> | null {
  const perCore = Math.max(...host.siblings.map((core) => core.size)) || 1;
  const free = freeCpus(host);
  /** Cores with at least so many free threads. */
  const cores = new Map<number, Core[]>();
  for (const core of host.siblings) {
    const left = ascending(core.intersection(free));
    for (let threads = 1; threads <= left.length; threads++) cores.set(threads, [...(cores.get(threads) ?? []), left]);
  }
  const any = cores.get(1) ?? [];
  if (guest.threads === 'isolate') {
    // A core's other threads stay empty, so whole cores are taken; next to shared CPUs there is no telling that they do.
    const whole = cores.get(perCore);
    if (!whole || (perCore !== 1 && !same(host.dedicated, host.shared))) return null;
    const alone = pairs(1, whole, guest);
    return alone?.length ? settled(alone, kept(any, alone, reserve, true), reserve) : null;
  }
  const mustPair = guest.threads === 'require';
  if (mustPair && perCore <= 1) return null;
  let [pinning, reserved, last]: [Pairs | null, Set<number> | null, number] = [null, null, 1];
  for (const threads of [...cores.keys()].sort((a, b) => b - a)) {
    last = threads;
    if (mustPair && threads <= 1) continue;
    pinning = pairs(threads, cores.get(threads)!, guest);
    reserved = kept(any, pinning, reserve, false);
    if (pinning && (reserve === 0 || reserved)) break;
  }
  if (!mustPair && !pinning?.length) {
    const single = any.flat().map((cpu) => [cpu]);
    pinning = pairs(last, single, guest);
    reserved = kept(single, pinning, reserve, false);
  }
  return settled(pinning, reserved, reserve);
}

type Pairs = readonly (readonly [guest: number, host: number])[];
function pairs(threads: number, cores: readonly Core[], guest: GuestCell): Pairs | null {
  if (threads * cores.length < guest.dedicated.size) return null;
  const usable = cores.flatMap((core) => core.slice(0, threads));
  return ascending(guest.dedicated)
    .slice(0, usable.length)
    .map((cpu, at) => [cpu, usable[at]!]);
}

/** Host CPUs left for the emulator's threads. */
function kept(cores: readonly Core[], pinning: Pairs | null, reserve: number, isolated: boolean): Set<number> | null {
  if (!pinning?.length || reserve === 0) return null;
  let usable = cores.map((core) => [...core]);
  for (const [, cpu] of pinning)
    usable = isolated ? usable.filter((core) => !core.includes(cpu)) : usable.map((core) => core.filter((one) => one !== cpu));
  const chosen = new Set(usable.flat().slice(0, reserve));
  return chosen.size > 0 ? chosen : null;
}

const settled = (pinning: Pairs | null, reserved: Set<number> | null, reserve: number) =>
  pinning === null || (reserve > 0 && !reserved) ? null : { pinning: new Map(pinning), reserved };
const same = (a: ReadonlySet<number>, b: ReadonlySet<number>) => a.size === b.size && a.isSubsetOf(b);
