import type { TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { badMessage } from '../model/errors-bus.ts';

const compiled = new WeakMap<TSchema, Validator>();

/** Holds a message against its contract, at both ends. Throws badMessage. */
export function mustFitContract(schema: TSchema, value: unknown, receiver: string, message: string): void {
  let check = compiled.get(schema);
  if (!check) {
    check = Compile(schema);
    compiled.set(schema, check);
  }
  if (check.Check(value)) return;
  const first = check.Errors(value)[0];
  throw badMessage({ receiver, message, why: `${first?.instancePath ?? ''} ${first?.message ?? 'does not fit'}` });
}
