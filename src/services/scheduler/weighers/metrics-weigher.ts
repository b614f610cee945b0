import { multiplierOf } from '../multiplier.ts';
import type { Weigher } from '../weigher.ts';
import { weightSettings } from '../weight-settings.ts';

/** Sum of the host's metrics times their ratios. A metric that is missing throws, or ends the sum when metrics are not required.
 *  Spec: Nova's MetricsWeigher. */
export const MetricsWeigher: Weigher = {
  name: 'MetricsWeigher',
  option: 'metrics_weight_multiplier',
  multiplier: 1,
  concerns: ({ options }) => weightSettings(options.metricsWeights).length > 0,
  weigh(host, { options }, weighing) {
    let sum = 0;
    for (const [name, ratio] of weightSettings(options.metricsWeights)) {
      const metric = host.metrics?.findLast((one) => one.name === name);
      if (metric) sum += metric.value * ratio;
      else if (options.metricsRequired) throw new Error(`the host does not report the metric ${name}`);
      else if (ratio * multiplierOf(weighing, host) !== 0) return options.metricsUnavailable;
    }
    return sum;
  },
};
