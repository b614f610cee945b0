/** JSON schema of a part of a message, with the type of what it describes. */
export interface Schema<T = unknown> {
  readonly [keyword: string]: unknown;
  readonly _type?: T;
}
// biome-ignore lint/suspicious/noExplicitAny: a schema of anything; Static recovers the type
export type AnySchema = Schema<any>;
export type Static<S> = S extends Schema<infer T> ? T : never;

/** The few words that the contracts are written in. Every property of an object is required: what may lack is null. */
export const Type = {
  String: (more: { readonly minLength?: number; readonly maxLength?: number } = {}): Schema<string> => ({ type: 'string', ...more }),
  Number: (): Schema<number> => ({ type: 'number' }),
  Integer: (more: { readonly minimum?: number } = {}): Schema<number> => ({ type: 'integer', ...more }),
  Boolean: (): Schema<boolean> => ({ type: 'boolean' }),
  Null: (): Schema<null> => ({ type: 'null' }),
  Unknown: (): Schema<unknown> => ({}),
  Literal: <const T extends string | number>(value: T): Schema<T> => ({ const: value }),
  /** One of a few words. */
  Enum: <const T extends readonly string[]>(...values: T): Schema<T[number]> => ({ enum: values }),
  Array: <T>(items: Schema<T>): Schema<T[]> => ({ type: 'array', items }),
  /** Any names, all with values of one kind. */
  Record: <T>(values: Schema<T>): Schema<Record<string, T>> => ({ type: 'object', additionalProperties: values }),
  Union: <const S extends readonly AnySchema[]>(...anyOf: S): Schema<Static<S[number]>> => ({ anyOf }),
  Object: <P extends Readonly<Record<string, AnySchema>>>(properties: P): Schema<{ [K in keyof P]: Static<P[K]> }> => ({
    type: 'object',
    required: Object.keys(properties),
    properties,
  }),
};
