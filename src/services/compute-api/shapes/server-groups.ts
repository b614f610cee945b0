import { body, during, either, type Infer, leaf, list, required, requiredSince, type Shape, since } from '../../../lib/shape.ts';
import { query, texts, WHOLE } from './query.ts';

const HARD = ['anti-affinity', 'affinity'] as const;
const POLICIES = [...HARD, 'soft-anti-affinity', 'soft-affinity'] as const;
type Policy = (typeof POLICIES)[number];
const oneOfThem = (words: readonly Policy[]) =>
  list(leaf<Policy>({ type: 'string', enum: words }), { minItems: 1, maxItems: 1, uniqueItems: true });
const policies = either(during([['0.0', '2.14']], oneOfThem(HARD)), during([['2.15', '2.63']], oneOfThem(POLICIES)));

export const serverGroupCreate = body({
  server_group: required(
    body({
      name: required(leaf<string>({ type: 'string', minLength: 1, maxLength: 255, format: 'name' })),
      // Until 2.63 a list of one, then one word; one of the two is always there.
      policies: required(policies as Shape<Policy[] | undefined>),
      policy: requiredSince('2.64', since('2.64', leaf<Policy>({ type: 'string', enum: POLICIES }))),
      rules: since(
        '2.64',
        leaf<{ max_server_per_host?: number | string }>({
          type: 'object',
          properties: {
            max_server_per_host: {
              type: ['integer', 'string'],
              pattern: '^0*[1-9][0-9]{0,8}$',
              minLength: 1,
              minimum: 1,
              maximum: 999_999_999,
            },
          },
          additionalProperties: false,
        }),
      ),
    }),
  ),
});
export type ServerGroupCreate = Infer<typeof serverGroupCreate>;

export const serverGroupListQuery = query({ all_projects: texts(), limit: texts(WHOLE), offset: texts(WHOLE) }, '2.75');
