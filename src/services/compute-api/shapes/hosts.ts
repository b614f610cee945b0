import { body, during, either, type Infer, leaf, required, since, until } from '../../../lib/shape.ts';
import { yesNo } from './flavors.ts';
import { BOOLEAN_WORDS, query, single, texts, WHOLE } from './query.ts';

const paging = (schema: object) => either(during([['2.33', '2.52']], texts({ ...schema })), since('2.53', single({ ...schema })));

export const hypervisorListQuery = query(
  {
    limit: paging(WHOLE),
    marker: paging({}),
    hypervisor_hostname_pattern: since('2.53', single({ minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9-._]*$' })),
    with_servers: since('2.53', single(BOOLEAN_WORDS)),
  },
  '2.53',
);
export const hypervisorQuery = query({ with_servers: since('2.53', single(BOOLEAN_WORDS)) }, '2.53');

export const serviceListQuery = query({ host: texts(), binary: texts() }, '2.75');

const reason = leaf<string>({ type: 'string', minLength: 1, maxLength: 255 });
const host = leaf<string>({ type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9-._]*$' });
/** To 2.52 the path says what to do and the body to whom; then the path says to whom and the body what. */
const byHost = body({
  host: required(host),
  binary: required(leaf<string>({ type: 'string', minLength: 1, maxLength: 255 })),
  disabled_reason: reason,
  forced_down: since('2.11', yesNo),
});
const byUuid = body({
  status: leaf<'enabled' | 'disabled'>({ type: 'string', enum: ['enabled', 'disabled'] }),
  disabled_reason: reason,
  forced_down: yesNo,
});
export const serviceUpdate = either(until('2.52', byHost), since('2.53', byUuid));
export type ServiceByHost = Infer<typeof byHost>;
export type ServiceByUuid = Infer<typeof byUuid>;
