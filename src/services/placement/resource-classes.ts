import { findName, insertName, listNames, removeClass, renameClass } from '../../db/tables/placement/names.ts';
import type { Call, Reply } from '../../http/call.ts';
import { placementBadRequest, placementConflict, placementNotFound } from '../../model/errors-placement.ts';
import { isStandardClass, standardClasses } from '../../model/placement-names.ts';
import { empty, json, pathTo, urlOf } from './answers.ts';
import { mustBe, readJson } from './bodies.ts';
import { noSuchClass } from './knowledge.ts';
import type { PlacementParts } from './parts.ts';
import { classBody } from './shapes/providers.ts';

const classView = (parts: PlacementParts, call: Call, name: string) => ({
  name,
  links: [{ rel: 'self', href: pathTo(parts, call, `/resource_classes/${name}`) }],
});

export async function listClasses(parts: PlacementParts, call: Call): Promise<Reply> {
  const names = [...standardClasses, ...(await listNames(parts.db.read, 'resource_classes')).map((custom) => custom.name)];
  return json(call, { resource_classes: names.map((name) => classView(parts, call, name)) }, parts.clock.now());
}

/** Spec: placement api-ref, "Create resource class". */
export async function createClass(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  const { name } = readJson(call, classBody);
  const made = await db.transaction((tx) => insertName(tx, db.kind, 'resource_classes', name, clock.now()));
  if (!made) throw placementConflict({ why: `Conflicting resource class already exists: ${name}` });
  return empty(201, { location: urlOf(call, `/resource_classes/${name}`) });
}

export async function showClass(parts: PlacementParts, call: Call): Promise<Reply> {
  const name = call.params.name ?? '';
  const custom = isStandardClass(name) ? undefined : await findName(parts.db.read, 'resource_classes', name);
  if (!custom && !isStandardClass(name)) throw placementNotFound({ why: noSuchClass(name) });
  return json(call, classView(parts, call, name), custom?.createdAt ?? parts.clock.now());
}

/** Renames a class, up to 1.6.  Spec: placement api-ref, "Update resource class (microversions 1.2 - 1.6)". */
export async function renameClassOf(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  const { name } = readJson(call, classBody);
  const old = call.params.name ?? '';
  if (isStandardClass(old)) throw placementBadRequest({ why: `Cannot update standard resource class ${old}` });
  await db.transaction(async (tx) => {
    if (!(await findName(tx, 'resource_classes', old))) throw placementNotFound({ why: noSuchClass(old) });
    if (!(await renameClass(tx, old, name))) throw placementConflict({ why: `Resource class already exists: ${name}` });
  });
  return json(call, classView(parts, call, name), clock.now());
}

/** Makes a class, 201, or finds that it is there, 204.  Spec: placement api-ref, "Update resource class". */
export async function putClass(parts: PlacementParts, call: Call): Promise<Reply> {
  const { db, clock } = parts;
  const name = call.params.name ?? '';
  mustBe({ name }, classBody, call.version, 'JSON does not validate');
  const made = await db.transaction((tx) => insertName(tx, db.kind, 'resource_classes', name, clock.now()));
  return empty(made ? 201 : 204, { location: urlOf(call, `/resource_classes/${name}`) });
}

export async function deleteClass({ db }: PlacementParts, call: Call): Promise<Reply> {
  const name = call.params.name ?? '';
  if (isStandardClass(name))
    throw placementBadRequest({ why: `Error in delete resource class: Cannot delete standard resource class ${name}.` });
  await db.transaction(async (tx) => {
    const done = await removeClass(tx, name);
    if (done === 'gone') throw placementNotFound({ why: noSuchClass(name) });
    if (done === 'used')
      throw placementConflict({
        why: `Error in delete resource class: Cannot delete resource class ${name}. Class is in use in inventory.`,
      });
  });
  return empty();
}
