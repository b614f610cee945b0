import type { NetworkClient } from '../clients/network.ts';
import { invalidInput } from '../model/errors.ts';
import { requestedGroupAmbiguous } from '../model/errors-network.ts';
import type { NetworkPort } from '../services/compute-api/server-parts.ts';

/** The network service as the compute API asks it: whether what a create names is there and free. */
export const networkPort = (networks: NetworkClient): NetworkPort => ({
  async validate(asked, { asker, servers, securityGroups, reach }) {
    const named = securityGroups.filter((group) => group !== 'default');
    if (named.length > 0) {
      const known = await networks.securityGroups(asker.projectId);
      for (const name of named) {
        if (known.some((group) => group.id === name)) continue;
        const matches = known.filter((group) => group.name === name).length;
        if (matches > 1) throw requestedGroupAmbiguous({ name });
        if (matches === 0) throw invalidInput({ why: `Security group ${name} not found for project ${asker.projectId}.` });
      }
    }
    return networks.validate(asker.projectId, asked, servers, reach);
  },
});
