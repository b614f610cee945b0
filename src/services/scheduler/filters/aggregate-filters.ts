import { pythonText } from '../../../model/python.ts';
import { aggregateMetadata, aggregateValues } from '../aggregates.ts';
import { matchesSpec } from '../extra-specs-match.ts';
import { type Filter, no, ok } from '../filter.ts';

const SCOPE = 'aggregate_instance_extra_specs';

/** Extra specs that the metadata of the host's aggregates must satisfy; plain keys count too.  Spec: Nova's AggregateInstanceExtraSpecsFilter. */
export const AggregateInstanceExtraSpecsFilter: Filter = {
  name: 'AggregateInstanceExtraSpecsFilter',
  oncePerRequest: true,
  concerns: ({ wish }) => Object.keys(wish.extraSpecs ?? {}).some((key) => !key.includes(':') || key.startsWith(`${SCOPE}:`)),
  judge(host, { wish }) {
    const metadata = aggregateMetadata(host);
    for (const [whole, demand] of Object.entries(wish.extraSpecs ?? {})) {
      const at = whole.indexOf(':');
      if (at >= 0 && whole.slice(0, at) !== SCOPE) continue;
      const values = metadata.get(whole.slice(at + 1));
      if (!values || ![...values].some((value) => matchesSpec(value, demand))) return no(`the flavor asks for ${whole} ${demand}`);
    }
    return ok;
  },
};

/** Properties that aggregates name must have one of the aggregates' values; images without the property pass.
 *  Spec: Nova's AggregateImagePropertiesIsolation. */
export const AggregateImagePropertiesIsolation: Filter = {
  name: 'AggregateImagePropertiesIsolation',
  oncePerRequest: true,
  runOnRebuild: true,
  judge(host, { wish, options }) {
    for (const [key, values] of aggregateMetadata(host)) {
      if (options.isolationNamespace && !key.startsWith(options.isolationNamespace + options.isolationSeparator)) continue;
      const value = Object.hasOwn(wish.imageProperties, key) ? wish.imageProperties[key] : null;
      if (value && !values.has(pythonText(value))) return no(`the host's aggregates take other images only (${key})`);
    }
    return ok;
  },
};

/** Hosts of aggregates that name tenants are theirs alone: every key that begins with filter_tenant_id counts.
 *  Spec: Nova's AggregateMultiTenancyIsolation. */
export const AggregateMultiTenancyIsolation: Filter = {
  name: 'AggregateMultiTenancyIsolation',
  oncePerRequest: true,
  judge(host, { wish }) {
    let named = false;
    for (const [key, values] of aggregateMetadata(host)) {
      if (!key.startsWith('filter_tenant_id')) continue;
      if (wish.projectId !== null && values.has(wish.projectId)) return ok;
      named = true;
    }
    return named ? no('the host is kept for other projects') : ok;
  },
};

/** Hosts of aggregates that name flavors take these alone.  Spec: Nova's AggregateTypeAffinityFilter. */
export const AggregateTypeAffinityFilter: Filter = {
  name: 'AggregateTypeAffinityFilter',
  oncePerRequest: true,
  judge(host, { wish }) {
    const values = aggregateValues(host, 'instance_type');
    const named = values.some((value) => value.split(',').some((name) => name.trim() === wish.flavor.name));
    return values.length === 0 || named ? ok : no('the host is kept for other flavors');
  },
};

/** Spec: Nova's AvailabilityZoneFilter, default_availability_zone. */
export const AvailabilityZoneFilter: Filter = {
  name: 'AvailabilityZoneFilter',
  oncePerRequest: true,
  concerns: ({ wish }) => Boolean(wish.availabilityZone),
  judge(host, { wish: { availabilityZone: zone }, options }) {
    if (!zone) return ok;
    const zones = host.zone === null ? aggregateMetadata(host, 'availability_zone').get('availability_zone') : new Set([host.zone]);
    return (zones ? zones.has(zone) : zone === options.defaultZone) ? ok : no(`it is not in availability zone ${zone}`);
  },
};
