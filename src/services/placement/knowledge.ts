import type { Query } from '../../db/engine.ts';
import { knownNames } from '../../db/tables/placement/names.ts';
import { isStandardClass, isStandardTrait } from '../../model/placement-names.ts';

/** Those of the names that are no resource class. */
export async function unknownClasses(db: Query, names: Iterable<string>): Promise<string[]> {
  const custom = [...new Set(names)].filter((name) => !isStandardClass(name));
  const known = await knownNames(db, 'resource_classes', custom);
  return custom.filter((name) => !known.has(name));
}
/** Those of the names that are no trait. */
export async function unknownTraits(db: Query, names: Iterable<string>): Promise<string[]> {
  const custom = [...new Set(names)].filter((name) => !isStandardTrait(name));
  const known = await knownNames(db, 'traits', custom);
  return custom.filter((name) => !known.has(name));
}
export const noSuchClass = (name: string) => `No such resource class ${name}.`;
export const noSuchTraits = (names: readonly string[]) => `No such trait(s): ${names.join(', ')}.`;
