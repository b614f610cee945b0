import type { Weigher } from '../weigher.ts';

/** Hosts that are busy building are left in peace.  Spec: Nova's IoOpsWeigher. */
export const IoOpsWeigher: Weigher = {
  name: 'IoOpsWeigher',
  option: 'io_ops_weight_multiplier',
  multiplier: -1,
  minimum: 0,
  weigh: (host) => host.numIoOps,
};
/** Spec: Nova's NumInstancesWeigher. */
export const NumInstancesWeigher: Weigher = {
  name: 'NumInstancesWeigher',
  option: 'num_instances_weight_multiplier',
  multiplier: 0,
  weigh: (host) => host.numInstances,
};
/** Hosts where builds failed of late come last.  Spec: Nova's BuildFailureWeigher. */
export const BuildFailureWeigher: Weigher = {
  name: 'BuildFailureWeigher',
  option: 'build_failure_weight_multiplier',
  multiplier: 1_000_000,
  negated: true,
  weigh: (host) => host.failedBuilds,
};
/** A server that may leave its cell rather stays.  Spec: Nova's CrossCellWeigher. */
export const CrossCellWeigher: Weigher = {
  name: 'CrossCellWeigher',
  option: 'cross_cell_move_weight_multiplier',
  multiplier: 1_000_000,
  concerns: ({ wish: { destination } }) => destination?.allowCrossCellMove === true && destination.cell !== null,
  weigh(host, { wish: { destination } }) {
    if (!destination?.allowCrossCellMove || destination.cell === null) return 0;
    return host.cellUuid === destination.cell ? 1 : -1;
  },
};
/** Newer hypervisors first.  Spec: Nova's HypervisorVersionWeigher. */
export const HypervisorVersionWeigher: Weigher = {
  name: 'HypervisorVersionWeigher',
  option: 'hypervisor_version_weight_multiplier',
  multiplier: 1,
  weigh: (host) => host.hypervisorVersion ?? 0,
};
/** Hosts with few devices first, so that devices stay free for who asks for them.  Spec: Nova's PCIWeigher; 99 devices or more count as 99. */
export const PCIWeigher: Weigher = {
  name: 'PCIWeigher',
  option: 'pci_weight_multiplier',
  multiplier: 1,
  weigh: (host) => 100 - Math.min(host.pciPools?.reduce((sum, pool) => sum + pool.count, 0) ?? 0, 99),
};
