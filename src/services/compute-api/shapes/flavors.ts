import { flavorSortKeys } from '../../../db/tables/compute/flavors.ts';
import { body, during, either, type Infer, leaf, required, since, until } from '../../../lib/shape.ts';
import { BOOLEAN_WORDS, query, texts, WHOLE } from './query.ts';

export const MAX_INT = 2_147_483_647;
/** Printable, without white space at either end. */
export const NAME = '^(?!\\s)[^\\p{Cc}\\p{Cs}\\p{Co}\\p{Cn}\\p{Zl}\\p{Zp}]*(?<!\\s)$';
/** Any text but control characters; line breaks and tabs are welcome. */
const PROSE = '^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f]*$';

/** A whole number, also as text. Texts have their range checked by the handler. */
const whole = (minimum: number) =>
  leaf<number | string>({ type: ['integer', 'string'], pattern: '^[0-9]{1,10}$', minimum, maximum: MAX_INT });
export const yesNo = leaf<boolean | string>({ type: ['boolean', 'string'], enum: [true, false, ...BOOLEAN_WORDS.enum] });
const description = leaf<string | null>({ type: ['string', 'null'], maxLength: 65_535, pattern: PROSE });

export const flavorCreate = body({
  flavor: required(
    body({
      name: required(leaf<string>({ type: 'string', minLength: 1, maxLength: 255, pattern: NAME })),
      id: leaf<string | number | null>({
        type: ['string', 'number', 'null'],
        minLength: 1,
        maxLength: 255,
        pattern: '^(?! )[a-zA-Z0-9. _-]+(?<! )$',
      }),
      ram: required(whole(1)),
      vcpus: required(whole(1)),
      disk: required(whole(0)),
      'OS-FLV-EXT-DATA:ephemeral': whole(0),
      swap: whole(0),
      rxtx_factor: until(
        '2.101',
        leaf<number | string>({ type: ['number', 'string'], pattern: '^[0-9]+(\\.[0-9]+)?$', exclusiveMinimum: 0, maximum: 3.40282e38 }),
      ),
      'os-flavor-access:is_public': yesNo,
      description: since('2.55', description),
    }),
  ),
});
export type FlavorCreate = Infer<typeof flavorCreate>;

export const flavorUpdate = body({ flavor: required(body({ description: required(description) })) });
export type FlavorUpdate = Infer<typeof flavorUpdate>;

export const flavorListQuery = query(
  {
    limit: texts(WHOLE),
    marker: texts(),
    is_public: texts(),
    minRam: texts(),
    minDisk: texts(),
    sort_key: either(
      during([['0.0', '2.101']], texts({ enum: flavorSortKeys })),
      since('2.102', texts({ enum: flavorSortKeys.filter((key) => key !== 'rxtx_factor') })),
    ),
    sort_dir: texts({ enum: ['asc', 'desc'] }),
    name: since('2.102', texts()),
  },
  '2.75',
);

const project = leaf<{ tenant: string }>({
  type: 'object',
  properties: { tenant: { type: 'string', minLength: 1, maxLength: 255 } },
  required: ['tenant'],
  additionalProperties: false,
});
export const accessAdd = body({ addTenantAccess: required(project) });
export const accessRemove = body({ removeTenantAccess: required(project) });
export type AccessAdd = Infer<typeof accessAdd>;
export type AccessRemove = Infer<typeof accessRemove>;

const specs = {
  type: 'object',
  patternProperties: { '^[a-zA-Z0-9\\-_:. ]{1,255}$': { type: ['string', 'number'], maxLength: 255 } },
  additionalProperties: false,
};
export const extraSpecsCreate = body({ extra_specs: required(leaf<Record<string, string | number>>(specs)) });
export type ExtraSpecsCreate = Infer<typeof extraSpecsCreate>;
export const extraSpecUpdate = leaf<Record<string, string | number>>({ ...specs, minProperties: 1, maxProperties: 1 });
export type ExtraSpecUpdate = Infer<typeof extraSpecUpdate>;
