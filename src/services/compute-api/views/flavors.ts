import type { Call } from '../../../http/call.ts';
import { before, from, turned } from '../../../lib/answer.ts';
import type { Flavor } from '../../../model/server.ts';
import { linksTo } from '../links.ts';

/** A flavor in a list.  Spec: compute api-ref "List Flavors". */
export const flavorSummary = (call: Call, flavor: Flavor) => ({
  id: flavor.flavorId,
  name: flavor.name,
  description: from('2.55', flavor.description),
  links: linksTo(call, 'flavors', flavor.flavorId),
});

/** A flavor in full. Extra specs are shown to those who may list them.  Spec: compute api-ref "Show Flavor Details". */
export const flavorView = (call: Call, flavor: Flavor, showExtraSpecs: boolean) => ({
  id: flavor.flavorId,
  name: flavor.name,
  ram: flavor.memoryMiB,
  vcpus: flavor.vcpus,
  disk: flavor.rootGiB,
  swap: turned(flavor.swapMiB || '', '2.75', flavor.swapMiB),
  rxtx_factor: before('2.102', flavor.rxtxFactor),
  description: from('2.55', flavor.description),
  'OS-FLV-EXT-DATA:ephemeral': flavor.ephemeralGiB,
  'OS-FLV-DISABLED:disabled': before('2.102', flavor.disabled),
  'os-flavor-access:is_public': flavor.isPublic,
  extra_specs: showExtraSpecs ? from('2.61', flavor.extraSpecs) : undefined,
  links: linksTo(call, 'flavors', flavor.flavorId),
});
