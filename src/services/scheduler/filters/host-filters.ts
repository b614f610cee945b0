import { type Filter, no, ok } from '../filter.ts';
import { weightSettings } from '../weight-settings.ts';

/** Spec: Nova's AllHostsFilter. */
export const AllHostsFilter: Filter = { name: 'AllHostsFilter', oncePerRequest: true, judge: () => ok };

/** Not again where a build failed.  Spec: Nova's RetryFilter. */
export const RetryFilter: Filter = {
  name: 'RetryFilter',
  concerns: ({ wish }) => wish.triedHosts.length > 0,
  judge: (host, { wish }) =>
    wish.triedHosts.some(([name, node]) => name === host.host && node === host.node) ? no('the build failed there already') : ok,
};

/** Isolated images stand on isolated hosts, and others not there.  Spec: Nova's IsolatedHostsFilter, isolated_images, isolated_hosts,
 *  restrict_isolated_hosts_to_isolated_images. */
export const IsolatedHostsFilter: Filter = {
  name: 'IsolatedHostsFilter',
  oncePerRequest: true,
  runOnRebuild: true,
  judge(host, { wish, options }) {
    const hostIsolated = options.isolatedHosts.includes(host.host);
    const imageIsolated = wish.imageId !== null && options.isolatedImages.includes(wish.imageId);
    if (options.isolatedImages.length > 0 && imageIsolated && !hostIsolated) return no('the image is kept for isolated hosts');
    return hostIsolated && !imageIsolated && options.restrictIsolatedHosts ? no('the host is kept for isolated images') : ok;
  },
};

/** One flavor on a host.  Spec: Nova's TypeAffinityFilter. */
export const TypeAffinityFilter: Filter = {
  name: 'TypeAffinityFilter',
  judge(host, { wish }) {
    for (const { flavorId } of host.instances.values()) if (flavorId !== wish.flavor.id) return no('servers of another flavor stand there');
    return ok;
  },
};

/** Hosts that report every metric the weigher needs.  Spec: Nova's MetricsFilter. */
export const MetricsFilter: Filter = {
  name: 'MetricsFilter',
  judge(host, { options }) {
    const { metrics } = host;
    if (metrics === null) throw new Error('the host has no metrics');
    const missing = weightSettings(options.metricsWeights).filter(([name]) => !metrics.some((one) => one.name === name));
    return missing.length > 0 ? no(`it does not report ${missing.map(([name]) => name).join(', ')}`) : ok;
  },
};
