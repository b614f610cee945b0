import type { Reply } from '../../http/call.ts';
import { noBareMetalHere, noBareMetalService } from '../../model/errors-misc-api.ts';

/** GET /os-baremetal-nodes and one of them: Kilonova has no bare metal service to ask.  Throws noBareMetalService (501). */
export function refuseBareMetal(): Reply {
  throw noBareMetalService({});
}

/** What this proxy never did.  Throws noBareMetalHere (400). */
export const refuseBareMetalChange = (command: string) => (): Reply => {
  throw noBareMetalHere({ command });
};
