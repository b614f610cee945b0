import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, Shape } from '../../../src/lib/shape.ts';
import * as bodies from '../../../src/services/compute-api/shapes/server-bodies.ts';
import { noQuery } from '../../../src/services/compute-api/shapes/server-common.ts';
import { serverCreate } from '../../../src/services/compute-api/shapes/server-create.ts';
import { serverListQuery } from '../../../src/services/compute-api/shapes/server-list.ts';
import { catalogue, rangeAt } from './catalogue.ts';
import { versions } from './house.ts';

interface Facts {
  readonly types: Set<string>;
  readonly rest: Set<string>;
  required: boolean;
}
const WORDS: Readonly<Record<string, string>> = {
  minLength: 'minLen',
  maxLength: 'maxLen',
  minimum: 'min',
  maximum: 'max',
  minItems: 'minItems',
  maxItems: 'maxItems',
  minProperties: 'minProps',
  maxProperties: 'maxProps',
};
const pythonic = (value: unknown) => (value === true ? 'True' : value === false ? 'False' : String(value));

/** A JSON schema in the catalogue's flat form: facts by JSON pointer. */
function flatten(schema: Json, pointer: string, required: boolean, into: Map<string, Facts>): void {
  const facts = into.get(pointer) ?? { types: new Set(), rest: new Set(), required };
  into.set(pointer, facts);
  const alternatives = (schema.oneOf ?? schema.anyOf ?? []) as Json[];
  for (const type of [schema.type ?? []].flat()) facts.types.add(String(type));
  if (schema.type === undefined && alternatives.length === 0 && Object.keys(schema).every((key) => key !== 'format' && key !== 'enum'))
    facts.types.add('any');
  for (const [key, word] of Object.entries(WORDS)) if (schema[key] !== undefined) facts.rest.add(`${word}:${schema[key]}`);
  for (const value of (schema.enum ?? []) as unknown[]) facts.rest.add(`enum:${pythonic(value)}`);
  if (schema.format !== undefined) facts.rest.add(`format:${schema.format}`);
  if (schema.uniqueItems) facts.rest.add('unique:True');
  if (schema.additionalProperties === false) facts.rest.add('closed');
  const needed = (schema.required ?? []) as string[];
  for (const [name, inner] of Object.entries((schema.properties ?? {}) as Record<string, Json>))
    flatten(inner, `${pointer}/${name}`, needed.includes(name), into);
  const free = [
    ...Object.values((schema.patternProperties ?? {}) as Record<string, Json>),
    ...(typeof schema.additionalProperties === 'object' ? [schema.additionalProperties as Json] : []),
  ];
  for (const inner of free) flatten(inner, `${pointer}/{*}`, false, into);
  if (schema.items && Object.keys(schema.items).length > 0) flatten(schema.items as Json, `${pointer}/[]`, false, into);
  for (const inner of alternatives) flatten(inner, pointer, required, into);
}

/** The same facts out of one line of the catalogue; what patterns say is not in it. */
function parse(line: string): Facts {
  const [types = '', ...words] = line.split(' ');
  const rest = words
    .filter((word) => word !== 'pattern')
    .flatMap((word) =>
      word.startsWith('enum:')
        ? word
            .slice(5)
            .split(',')
            .map((value) => `enum:${value}`)
        : [word],
    );
  return { types: new Set(types.replace('!', '').split('|')), rest: new Set(rest), required: types.endsWith('!') };
}
const line = (facts: Facts) => `${[...facts.types].sort().join('|')}${facts.required ? '!' : ''} ${[...facts.rest].sort().join(' ')}`;

const shapes: readonly (readonly [operation: string, part: 'request' | 'query', shape: Shape<unknown>])[] = [
  ['servers:create', 'request', serverCreate],
  ['servers:update', 'request', bodies.serverUpdate],
  ['servers:index', 'query', serverListQuery],
  ['servers:detail', 'query', serverListQuery],
  ['servers:show', 'query', noQuery],
  ['server-ips:index', 'query', noQuery],
  ['server-metadata:index', 'query', noQuery],
  ['server-metadata:create', 'request', bodies.serverMetadata],
  ['server-metadata:update_all', 'request', bodies.serverMetadata],
  ['server-metadata:update', 'request', bodies.serverMetadataItem],
  ['server-actions:os-start', 'request', bodies.startServer],
  ['server-actions:os-stop', 'request', bodies.stopServer],
  ['server-actions:reboot', 'request', bodies.rebootServer],
  ['server-actions:forceDelete', 'request', bodies.forceDeleteServer],
  ['server-actions:os-getConsoleOutput', 'request', bodies.consoleOutput],
];

const fields = await catalogue.fields();
for (const [operation, part, shape] of shapes) {
  test(`${operation}: the ${part} is Nova's at every microversion`, { skip: fields ? false : 'the catalogue is not here' }, () => {
    for (const version of versions) {
      const expected = rangeAt(fields?.[operation]?.[part] ?? [], version);
      assert.ok(expected, `${operation} ${version} is in the catalogue`);
      const flat = new Map<string, Facts>();
      flatten(shape.schema(version), '', true, flat);
      const mine = Object.fromEntries([...flat].map(([pointer, facts]) => [pointer, line(facts)]));
      const theirs = Object.fromEntries(Object.entries(expected).map(([pointer, text]) => [pointer, line(parse(text))]));
      assert.deepEqual(mine, theirs, `${operation} at ${version}`);
    }
  });
}
