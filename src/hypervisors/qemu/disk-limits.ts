import type { GuestSpec } from '../driver.ts';
import { numberOf, unusable } from './wishes.ts';

const KINDS = [
  ['bytes', 'bps'],
  ['iops', 'iops'],
] as const;
const WAYS = ['total', 'read', 'write'] as const;

/** What a flavor lets each disk do in a second, in the words of -drive and drive_add; begins with a comma.
 *  Spec: quota:disk_{read,write,total}_{bytes,iops}_sec. Throws imageUnusable when a total stands beside one of its parts. */
export function diskLimits(spec: Pick<GuestSpec, 'uuid' | 'image' | 'extraSpecs' | 'imageProperties'>): string {
  return words((way, kind) => numberOf(spec, `quota:disk_${way}_${kind}_sec`, null) ?? 0, spec);
}

/** The same of a volume, as its type's QoS specs tell: { total_bytes_sec: 1000 }. */
export function volumeLimits(spec: Pick<GuestSpec, 'uuid' | 'image'>, qos: unknown): string {
  const told = typeof qos === 'object' && qos !== null ? (qos as Readonly<Record<string, unknown>>) : {}; // read by name
  return words((way, kind) => {
    const value = Number(told[`${way}_${kind}_sec`] ?? 0);
    return Number.isSafeInteger(value) && value > 0 ? value : 0;
  }, spec);
}

function words(limit: (way: string, kind: string) => number, spec: Pick<GuestSpec, 'uuid' | 'image'>): string {
  return KINDS.map(([kind, word]) => {
    const found = WAYS.map((way) => [way, limit(way, kind)] as const).filter(([, value]) => value > 0);
    if (found.length > 1 && found[0]?.[0] === 'total')
      throw unusable(spec, `a limit of total ${kind} cannot stand beside one of ${found[1]?.[0]} ${kind}`);
    return found.map(([way, value]) => `,throttling.${word}-${way}=${value}`).join('');
  }).join('');
}
