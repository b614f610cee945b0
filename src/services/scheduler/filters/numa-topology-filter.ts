import { fitNuma, workOn } from '../../../model/numa/fit.ts';
import { standingFit } from '../../../model/numa/stand.ts';
import { hasThreads } from '../../../model/numa/topology.ts';
import { type Filter, no, ok } from '../filter.ts';
import { known } from '../host-view.ts';

/** Whether the memory cells the server asks for can stand on cells of the host, with their CPUs, pages, devices and networks.
 *  Spec: Nova's NUMATopologyFilter. */
export const NUMATopologyFilter: Filter = {
  name: 'NUMATopologyFilter',
  alsoForced: true,
  judge(host, { wish, options }) {
    const { numa, extraSpecs, imageProperties } = wish;
    const wants = (name: string, word: string) => extraSpecs?.[`hw:${name}`] === word || imageProperties[`hw_${name}`] === word;
    if (host.numa && wants('cpu_policy', 'dedicated') && wants('cpu_thread_policy', 'require') && !hasThreads(host.numa))
      return no('its cores have no threads, and the server asks for some');
    if (!numa) return ok;
    const { numa: topology } = host;
    if (!topology) return no('it does not tell its memory cells, and the server asks for some');
    const limits = { cpuRatio: known(host.cpuRatio), ramRatio: known(host.ramRatio) };
    const work = workOn(numa);
    const { network, pciRequests } = wish;
    const candidates = host.candidates.filter(({ mappings }) => {
      const fit = { limits, network, pciRequests, pciPools: host.pciPools, mappings, pack: options.packNumaCells };
      return standingFit(topology, numa, fitNuma(topology, work, fit), fit); // a claim would refuse what cannot stand
    });
    if (candidates.length === 0) return { ...no('the memory cells the server asks for fit nowhere'), candidates };
    return { ok: true, limits: { numa_topology: limits }, candidates };
  },
};
