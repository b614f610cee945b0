import type { Reply, RouteTable } from '../../http/call.ts';
import { apiRemoved, consoleTypeRemoved } from '../../model/errors-misc-api.ts';

/** Whatever was asked of an API that is gone.  Throws apiRemoved (410). */
export function refuseRemoved(): Reply {
  throw apiRemoved({});
}

/** os-getRDPConsole: no driver has such consoles any more.  Throws consoleTypeRemoved (400). */
export function refuseRdp(): Reply {
  throw consoleTypeRemoved({ type: 'rdp-html5' });
}

/** Operations that answer 410 at every version to whoever has a token.  Spec: compute api-ref, "Obsolete" sections. */
const removed = [
  'GET /os-agents',
  'POST /os-agents',
  'PUT /os-agents/:id',
  'DELETE /os-agents/:id',
  'GET /os-cells',
  'POST /os-cells',
  'GET /os-cells/capacities',
  'GET /os-cells/detail',
  'GET /os-cells/info',
  'POST /os-cells/sync_instances',
  'GET /os-cells/:id',
  'PUT /os-cells/:id',
  'DELETE /os-cells/:id',
  'GET /os-cells/:id/capacities',
  'POST /os-certificates',
  'GET /os-certificates/:id',
  'GET /os-cloudpipe',
  'POST /os-cloudpipe',
  'PUT /os-cloudpipe/:id',
  'GET /os-fixed-ips/:id',
  'POST /os-fixed-ips/:id/action#reserve',
  'POST /os-fixed-ips/:id/action#unreserve',
  'GET /os-floating-ip-dns',
  'PUT /os-floating-ip-dns/:id',
  'DELETE /os-floating-ip-dns/:id',
  'GET /os-floating-ip-dns/:id/entries/:name',
  'PUT /os-floating-ip-dns/:id/entries/:name',
  'DELETE /os-floating-ip-dns/:id/entries/:name',
  'GET /os-floating-ips-bulk',
  'POST /os-floating-ips-bulk',
  'GET /os-floating-ips-bulk/:id',
  'PUT /os-floating-ips-bulk/:id',
  'GET /os-fping',
  'GET /os-fping/:id',
  'POST /os-networks',
  'POST /os-networks/add',
  'DELETE /os-networks/:id',
  'POST /os-networks/:id/action#disassociate',
  'POST /os-networks/:id/action#disassociate_host',
  'POST /os-networks/:id/action#disassociate_project',
  'POST /os-networks/:id/action#associate_host',
  'GET /os-security-group-default-rules',
  'POST /os-security-group-default-rules',
  'GET /os-security-group-default-rules/:id',
  'DELETE /os-security-group-default-rules/:id',
  'POST /os-tenant-networks',
  'DELETE /os-tenant-networks/:id',
  'POST /servers/:id/action#resetNetwork',
  'GET /servers/:id/consoles',
  'POST /servers/:id/consoles',
  'GET /servers/:id/consoles/:consoleId',
  'DELETE /servers/:id/consoles/:consoleId',
  'GET /servers/:id/os-virtual-interfaces',
] as const;

/** Routes of what is gone: a part of the compute API's table of contents. */
export const removedRoutes: RouteTable<unknown> = {
  ...Object.fromEntries(removed.map((key) => [key, { run: refuseRemoved, policy: 'none' }])),
  'POST /servers/:id/action#os-getRDPConsole': { run: refuseRdp, policy: 'none' },
};
