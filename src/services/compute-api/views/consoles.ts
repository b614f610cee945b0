import type { ConsoleGrant } from '../../../db/tables/compute/console-tokens.ts';
import { from } from '../../../lib/answer.ts';

/** What a token opens.  Spec: compute api-ref "Show Console Connection Information". */
export const consoleGrantView = (grant: ConsoleGrant) => ({
  instance_uuid: grant.serverUuid,
  host: grant.host,
  port: grant.port,
  internal_access_path: grant.path,
  ...(grant.type === 'spice-direct' ? { tls_port: from('2.99', grant.tlsPort) } : {}),
});
