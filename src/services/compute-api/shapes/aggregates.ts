import { body, type Infer, leaf, list, required } from '../../../lib/shape.ts';

const name = leaf<string>({ type: 'string', minLength: 1, maxLength: 255, format: 'loose-name' });
/** No colon: in a create it stands between zone and host. */
const zone = leaf<string | null>({ type: ['string', 'null'], minLength: 1, maxLength: 255, format: 'loose-name', pattern: '^[^:]*$' });
const host = leaf<string>({ type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9-._]*$' });

export const aggregateCreate = body({
  aggregate: required(
    body({ name: required(leaf<string>({ type: 'string', minLength: 1, maxLength: 255, format: 'name' })), availability_zone: zone }),
  ),
});
export type AggregateCreate = Infer<typeof aggregateCreate>;

export const aggregateUpdate = body({ aggregate: required(body({ name, availability_zone: zone }, { minProperties: 1 })) });
export type AggregateUpdate = Infer<typeof aggregateUpdate>;

export const aggregateAddHost = body({ add_host: required(body({ host: required(host) })) });
export type AggregateAddHost = Infer<typeof aggregateAddHost>;
export const aggregateRemoveHost = body({ remove_host: required(body({ host: required(host) })) });
export type AggregateRemoveHost = Infer<typeof aggregateRemoveHost>;

export const aggregateSetMetadata = body({
  set_metadata: required(
    body({
      metadata: required(
        leaf<Record<string, string | null>>({
          type: 'object',
          patternProperties: { '^[a-zA-Z0-9-_:. ]{1,255}$': { type: ['string', 'null'], maxLength: 255 } },
          additionalProperties: false,
        }),
      ),
    }),
  ),
});
export type AggregateSetMetadata = Infer<typeof aggregateSetMetadata>;

export const aggregateImages = body({
  cache: required(list(body({ id: required(leaf<string>({ type: 'string', format: 'uuid' })) }), { minItems: 1 })),
});
export type AggregateImages = Infer<typeof aggregateImages>;
