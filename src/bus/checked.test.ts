import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudError } from '../model/errors.ts';
import { mustFitContract } from './checked.ts';
import { type AnySchema, Type } from './schema.ts';

const whyNot = (schema: AnySchema, value: unknown): string | null => {
  try {
    mustFitContract(schema, value, 'conductor', 'note');
    return null;
  } catch (cause) {
    assert.ok(cause instanceof CloudError);
    return String(cause.params.why);
  }
};

test('each word of a contract takes what fits and names what does not', () => {
  const cases: [AnySchema, fine: unknown[], wrong: unknown[]][] = [
    [Type.String({ minLength: 1, maxLength: 3 }), ['a', 'abc'], ['', 'abcd', 1, null, undefined]],
    [Type.Number(), [0, -1.5], ['1', Number.NaN, Number.POSITIVE_INFINITY, null]],
    [Type.Integer({ minimum: 1 }), [1, 7], [0, 1.5, '1', null]],
    [Type.Boolean(), [true, false], [0, 'true', null]],
    [Type.Null(), [null], [undefined, 0, '']],
    [Type.Unknown(), [null, 1, {}, []], []],
    [Type.Literal(4), [4], [6, '4']],
    [Type.Enum('qcow2', 'raw'), ['raw'], ['RAW', null]],
    [Type.Array(Type.Integer()), [[], [1, 2]], [[1, 'x'], {}, null]],
    [Type.Record(Type.String()), [{}, { a: 'b' }], [{ a: 1 }, [], null, 'x']],
    [Type.Union(Type.String(), Type.Null()), ['a', null], [1, undefined]],
    [Type.Object({ id: Type.String() }), [{ id: 'a' }, { id: 'a', more: 1 }], [{}, { id: 1 }, [], null, Object.create({ id: 'a' })]],
  ];
  for (const [schema, fine, wrong] of cases) {
    for (const value of fine) assert.equal(whyNot(schema, value), null, JSON.stringify([schema, value]));
    for (const value of wrong) assert.notEqual(whyNot(schema, value), null, JSON.stringify([schema, value]));
  }
});

test('a refusal names the place', () => {
  const schema = Type.Object({ networks: Type.Array(Type.Object({ tag: Type.Union(Type.String(), Type.Null()) })) });
  assert.equal(whyNot(schema, { networks: [{ tag: null }, { tag: 5 }] }), '/networks/1/tag fits none of its forms');
  assert.equal(whyNot(schema, { networks: [{}] }), "/networks/0 must have required property 'tag'");
});
