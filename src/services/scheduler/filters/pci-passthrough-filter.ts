import { supportsRequests } from '../../../model/pci/pools.ts';
import { type Filter, no, ok } from '../filter.ts';

/** Hosts with the devices that are asked for.  Spec: Nova's PciPassthroughFilter. */
export const PciPassthroughFilter: Filter = {
  name: 'PciPassthroughFilter',
  alsoForced: true,
  concerns: ({ wish }) => Boolean(wish.pciRequests?.length),
  judge(host, { wish: { pciRequests } }) {
    const { pciPools } = host;
    if (!pciRequests?.length) return ok;
    if (!pciPools) return no('it does not tell its devices, and the server asks for some');
    const candidates = host.candidates.filter(({ mappings }) => supportsRequests(pciPools, pciRequests, mappings, null));
    return candidates.length > 0 ? { ok: true, candidates } : { ...no('it has not the devices the server asks for'), candidates };
  },
};
