import { imageUnusable } from '../../model/errors-hypervisor.ts';
import type { GuestSpec } from '../driver.ts';

export interface CpuTopology {
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
}
type Wanting = Pick<GuestSpec, 'uuid' | 'image' | 'vcpus' | 'extraSpecs' | 'imageProperties'>;
const PARTS = ['sockets', 'cores', 'threads'] as const;

/** How the guest's CPUs are told to it; null when neither flavor nor image says. Among those that fit the maxima the one that keeps most of
 *  what was asked for, then the one with most sockets. Throws imageUnusable when none fits.
 *  Spec: hw:cpu_{sockets,cores,threads}, hw:cpu_max_*, hw_cpu_*; the image's wish stands before the flavor's, within the flavor's maxima. */
export function cpuTopology(spec: Wanting): CpuTopology | null {
  const { vcpus } = spec;
  const wish = PARTS.map((part) => number(spec, `hw_cpu_${part}`) ?? number(spec, `hw:cpu_${part}`));
  const most = PARTS.map((part) => {
    const [flavor, image] = [number(spec, `hw:cpu_max_${part}`), number(spec, `hw_cpu_max_${part}`)];
    if (flavor !== undefined && image !== undefined && image > flavor)
      throw unusable(spec, `hw_cpu_max_${part}=${image} is more than the flavor's ${flavor}`);
    return image ?? flavor;
  });
  if ([...wish, ...most].every((one) => one === undefined)) return null;
  let fitting: CpuTopology[] = [];
  for (let threads = 1; threads <= vcpus; threads++) {
    for (let cores = 1; cores * threads <= vcpus; cores++) {
      const sockets = vcpus / cores / threads;
      if (Number.isInteger(sockets) && [sockets, cores, threads].every((value, at) => value <= (most[at] ?? value)))
        fitting.push({ sockets, cores, threads });
    }
  }
  if (fitting.length === 0) throw unusable(spec, `no CPU topology of ${vcpus} CPUs fits the maxima of flavor and image`);
  for (const [at, part] of PARTS.entries()) {
    const kept = fitting.filter((one) => one[part] === wish[at]);
    if (kept.length > 0) fitting = kept;
  }
  return fitting.toSorted((a, b) => b.sockets - a.sockets || b.cores - a.cores)[0] ?? null;
}

function number(spec: Wanting, name: string): number | undefined {
  const text = name.includes(':') ? spec.extraSpecs[name] : spec.imageProperties[name];
  if (text === undefined || text === '') return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw unusable(spec, `${name}=${text} is no number of ${name.split('_').at(-1)}`);
  return Number(text);
}
const unusable = (spec: Wanting, why: string) => imageUnusable({ id: spec.image?.id ?? spec.uuid, why });
