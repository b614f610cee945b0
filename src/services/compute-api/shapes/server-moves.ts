import { body, during, either, type Infer, leaf, required, since, until } from '../../../lib/shape.ts';
import { query, single, texts, WHOLE } from './query.ts';
import { anything, diskConfig, flag, hostName, str } from './server-common.ts';

// Bodies and queries of what moves servers.  Spec: compute api-ref, "Servers - run an administrative action", "Migrations".

const host = hostName;
const hostOrNull = leaf<string | null>({ type: ['string', 'null'], minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._-]*$' });
/** A truth value, or `auto`: the hypervisor decides. */
const flagOrAuto = leaf<boolean | string>({
  type: ['boolean', 'string'],
  enum: [
    ...[true, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes'],
    ...[false, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no'],
    'auto',
  ],
});

export const resize = body({
  resize: required(
    body({
      flavorRef: required(leaf<string | number>({ type: ['string', 'integer'], minLength: 1 })),
      'OS-DCF:diskConfig': diskConfig,
    }),
  ),
});
export type Resize = Infer<typeof resize>;
export const confirmResize = body({ confirmResize: required(anything) });
export const revertResize = body({ revertResize: required(anything) });

export const migrate = body({
  migrate: required(
    either(
      until('2.55', anything),
      since(
        '2.56',
        leaf<{ host?: string | null } | null>({
          type: ['object', 'null'],
          properties: { host: hostOrNull.schema('2.56') },
          additionalProperties: false,
        }),
      ),
    ),
  ),
});
export type Migrate = { readonly migrate: unknown };

export const liveMigrate = body({
  'os-migrateLive': required(
    body({
      host: required(hostOrNull),
      block_migration: required(either(until('2.24', flag), since('2.25', flagOrAuto))),
      disk_over_commit: { ...until('2.24', flag), requiredIn: [['0.0', '2.24']] as const },
      force: during([['2.30', '2.67']], flag),
    }),
  ),
});
export type LiveMigrate = Infer<typeof liveMigrate>;

export const evacuate = body({
  evacuate: required(
    body({
      host,
      onSharedStorage: { ...until('2.13', flag), requiredIn: [['0.0', '2.13']] as const },
      adminPass: str(),
      force: during([['2.29', '2.67']], flag),
    }),
  ),
});
export type Evacuate = Infer<typeof evacuate>;

export const shelve = body({ shelve: required(anything) });
export const shelveOffload = body({ shelveOffload: required(anything) });
export const unshelve = body({
  unshelve: required(
    either(
      until('2.76', anything),
      either(
        during(
          [['2.77', '2.90']],
          leaf<{ availability_zone?: string | null; host?: string } | null>({
            type: ['object', 'null'],
            properties: { availability_zone: { type: 'string', minLength: 1, maxLength: 255, format: 'name' } },
            required: ['availability_zone'],
            additionalProperties: false,
          }),
        ),
        since(
          '2.91',
          leaf<{ availability_zone?: string | null; host?: string } | null>({
            type: ['object', 'null'],
            properties: {
              availability_zone: { type: ['string', 'null'], minLength: 1, maxLength: 255, format: 'name' },
              host: host.schema('2.91'),
            },
            additionalProperties: false,
          }),
        ),
      ),
    ),
  ),
});
export type Unshelve = { readonly unshelve: unknown };

export const forceComplete = body({ force_complete: required(leaf<null>({ type: 'null' })) });

/** Query of GET /os-migrations.  Spec: microversions 2.59, 2.66 and 2.80. */
export const migrationListQuery = query(
  {
    hidden: texts(),
    host: texts(),
    instance_uuid: texts(),
    source_compute: texts(),
    status: texts(),
    migration_type: texts(),
    limit: since('2.59', single(WHOLE)),
    marker: since('2.59', single()),
    'changes-since': since('2.59', single({ format: 'date-time' })),
    'changes-before': since('2.66', single({ format: 'date-time' })),
    user_id: since('2.80', single()),
    project_id: since('2.80', single()),
  },
  '2.59',
);
