import type { Weigher } from '../weigher.ts';

/** A cost function of older releases with its weight. */
export interface LeastCost {
  readonly name: 'compute_fill_first_cost_fn' | 'retry_host_cost_fn' | 'noop_cost_fn';
  readonly weight: number;
}
const costs: Readonly<Record<LeastCost['name'], (...of: Parameters<Weigher['weigh']>) => number>> = {
  compute_fill_first_cost_fn: (host) => host.memoryFreeMiB,
  retry_host_cost_fn: (host, { wish }) => wish.triedHosts.filter(([name, node]) => name === host.host && node === host.node).length,
  noop_cost_fn: () => 1,
};
export const leastCostNames = Object.keys(costs);

/** The cheapest host first, by the sum of weighted costs.  Spec: Nova's least_cost (2012), least_cost_functions. */
export const leastCostWeigher = (functions: readonly LeastCost[]): Weigher => ({
  name: 'LeastCostWeigher',
  option: 'least_cost_weight_multiplier',
  multiplier: 1,
  weigh: (host, ask, weighing) => -functions.reduce((sum, { name, weight }) => sum + weight * costs[name](host, ask, weighing), 0),
});
