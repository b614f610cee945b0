import { imageUnusable } from '../../model/errors-hypervisor.ts';
import type { GuestSpec } from '../driver.ts';

/** What flavor and image say of a device, one reader for each form. */
export type Wishing = Pick<GuestSpec, 'uuid' | 'image' | 'extraSpecs' | 'imageProperties'>;

/** Throws imageUnusable: the sentence names the property and what would do. */
export const unusable = (spec: Pick<Wishing, 'uuid' | 'image'>, why: string) => imageUnusable({ id: spec.image?.id ?? spec.uuid, why });

/** The image's word, else the flavor's. */
export function wordOf(spec: Wishing, extraSpec: string | null, property: string | null): string | undefined {
  const word =
    (property === null ? undefined : spec.imageProperties[property]) ?? (extraSpec === null ? undefined : spec.extraSpecs[extraSpec]);
  return word === '' ? undefined : word;
}
/** A flag; undefined when nobody says. */
export function flagOf(spec: Wishing, extraSpec: string | null, property: string | null): boolean | undefined {
  const word = wordOf(spec, extraSpec, property);
  return word === undefined ? undefined : /^(1|t|true|on|y|yes)$/i.test(word.trim());
}
/** A whole number from 0. Throws imageUnusable. */
export function numberOf(spec: Wishing, extraSpec: string | null, property: string | null): number | undefined {
  const word = wordOf(spec, extraSpec, property);
  if (word === undefined) return undefined;
  if (!/^\d{1,15}$/.test(word.trim())) throw unusable(spec, `${property ?? extraSpec}=${word} is no number`);
  return Number(word);
}
/** A word of a table. Throws imageUnusable that names those of this host. */
export function chosen<T>(
  spec: Wishing,
  property: string,
  table: Readonly<Record<string, T>>,
  usual: string,
  extraSpec: string | null = null,
): T {
  const wish = wordOf(spec, extraSpec, property) ?? usual;
  const found = Object.hasOwn(table, wish) ? table[wish] : undefined;
  if (found !== undefined) return found;
  throw unusable(spec, `${property}=${wish} is not one of ${Object.keys(table).join(', ')} on this host`);
}
