import type { Ask, Filter, Verdict } from './filter.ts';
import { no, ok } from './filter.ts';
import type { HostView } from './host-view.ts';

/** Which questions placement would answer before any filter is asked.  Spec: Nova's request prefilters, [scheduler] options of these names. */
export interface PrefilterOptions {
  /** limit_tenants_to_placement_aggregate */
  readonly limitTenants: boolean;
  /** placement_aggregate_required_for_tenants */
  readonly tenantAggregateRequired: boolean;
  /** query_placement_for_image_type_support */
  readonly imageTypeSupport: boolean;
  /** enable_isolated_aggregate_filtering */
  readonly isolatedAggregates: boolean;
  /** image_metadata_prefilter */
  readonly imageMetadata: boolean;
}
export const prefilterDefaults: PrefilterOptions = {
  limitTenants: false,
  tenantAggregateRequired: false,
  imageTypeSupport: false,
  isolatedAggregates: false,
  imageMetadata: false,
};

/** The prefilters of a config: filters that are asked of every request, forced hosts included, before the enabled ones. */
export const prefiltersOf = (options: PrefilterOptions): Filter[] => [
  serviceStatus,
  traits(options),
  ...(options.limitTenants ? [tenantAggregates(options.tenantAggregateRequired)] : []),
  ...(options.isolatedAggregates ? [isolatedAggregates(options)] : []),
];

/** Trait COMPUTE_STATUS_DISABLED is forbidden: hosts whose service is disabled take nothing, not even what is forced upon them. */
const serviceStatus: Filter = {
  name: 'Compute status',
  runOnRebuild: true,
  judge: (host) => (host.disabled ? disabled : ok),
};
const disabled = no('the compute service is disabled');

interface WishedTraits {
  readonly required: ReadonlySet<string>;
  readonly forbidden: ReadonlySet<string>;
}
const imageTraits: readonly (readonly [property: string, prefix: string])[] = [
  ['hw_cdrom_bus', 'COMPUTE_STORAGE_BUS'],
  ['hw_disk_bus', 'COMPUTE_STORAGE_BUS'],
  ['hw_video_model', 'COMPUTE_GRAPHICS_MODEL'],
  ['hw_vif_model', 'COMPUTE_NET_VIF_MODEL'],
  ['hw_architecture', 'HW_ARCH'],
  ['hw_emulation_architecture', 'COMPUTE_ARCH'],
  ['hw_viommu_model', 'COMPUTE_VIOMMU'],
];

const known = new WeakMap<object, WishedTraits>();
/** Traits that flavor and image want and do not want; the same for every host, so read once for each wish. */
function wishedTraits({ wish }: Ask, options: PrefilterOptions): WishedTraits {
  const before = known.get(wish);
  if (before) return before;
  const [required, forbidden] = [new Set<string>(), new Set<string>()];
  const { extraSpecs, imageProperties } = wish;
  for (const key in extraSpecs) {
    const trait = /^trait[A-Za-z0-9_-]*:(.+)$/.exec(key)?.[1];
    if (trait === undefined) continue;
    if (extraSpecs[key] === 'required') required.add(trait);
    if (extraSpecs[key] === 'forbidden') forbidden.add(trait);
  }
  if (Array.isArray(imageProperties.traits_required)) for (const trait of imageProperties.traits_required) required.add(String(trait));
  if (extraSpecs?.['accel:device_profile']) required.add('COMPUTE_ACCELERATORS');
  if (imageProperties.hw_virtio_packed_ring === true || extraSpecs?.['hw:virtio_packed_ring']?.toLowerCase() === 'true')
    required.add('COMPUTE_NET_VIRTIO_PACKED');
  for (const trait of deviceTraits(extraSpecs, imageProperties)) required.add(trait);
  if (options.imageTypeSupport && wish.imageFormat) required.add(`COMPUTE_IMAGE_TYPE_${wish.imageFormat.toUpperCase()}`);
  if (options.imageMetadata)
    for (const [property, prefix] of imageTraits) {
      const value = imageProperties[property];
      if (typeof value === 'string' && value) required.add(`${prefix}_${value.replaceAll('-', '_').toUpperCase()}`);
    }
  const found = { required, forbidden };
  known.set(wish, found);
  return found;
}
/** What only some hosts can do for a guest.  Spec: Nova asks for the same traits, but for UEFI and the limits, which it lets hosts fail on. */
function deviceTraits(extraSpecs: Ask['wish']['extraSpecs'], properties: Ask['wish']['imageProperties']): string[] {
  const found: string[] = [];
  const wish = (spec: string, property: string) => String(extraSpecs?.[spec] ?? properties[property] ?? '').toLowerCase();
  if (properties.hw_firmware_type === 'uefi') found.push('COMPUTE_FIRMWARE_UEFI');
  if (wish('os:secure_boot', 'os_secure_boot') === 'required') found.push('COMPUTE_SECURITY_UEFI_SECURE_BOOT');
  if (properties.hw_firmware_stateless === true) found.push('COMPUTE_SECURITY_STATELESS_FIRMWARE');
  const tpm = wish('hw:tpm_version', 'hw_tpm_version');
  if (tpm) found.push(`COMPUTE_SECURITY_TPM_${tpm.replace('.', '_')}`);
  const tpmModel = wish('hw:tpm_model', 'hw_tpm_model');
  if (tpmModel) found.push(`COMPUTE_SECURITY_${tpmModel.replaceAll('-', '_').toUpperCase()}`);
  if (wish('hw:mem_encryption', 'hw_mem_encryption') === 'true') found.push('HW_CPU_X86_AMD_SEV');
  const viommu = wish('hw:viommu_model', 'hw_viommu_model');
  if (viommu) found.push(`COMPUTE_VIOMMU_MODEL_${viommu.toUpperCase()}`);
  const sound = wish('hw:sound_model', 'hw_sound_model');
  if (sound) found.push(`COMPUTE_SOUND_MODEL_${sound.toUpperCase()}`);
  const bits = wish('hw:maxphysaddr_mode', 'hw_maxphysaddr_mode');
  if (bits) found.push(bits === 'passthrough' ? 'COMPUTE_ADDRESS_SPACE_PASSTHROUGH' : 'COMPUTE_ADDRESS_SPACE_EMULATED');
  for (const key in extraSpecs) {
    if (/^quota:vif_(in|out)bound_/.test(key)) found.push('CUSTOM_QUOTA_VIF');
    if (/^quota:cpu_(shares|period|quota)$/.test(key)) found.push('CUSTOM_QUOTA_CPU');
  }
  return found;
}

/** Traits a host has. Every host here is a compute node of this cloud. */
const has = (host: HostView, trait: string) => trait === 'OWNER_NOVA' || host.traits.has(trait);

const traits = (options: PrefilterOptions): Filter => ({
  name: 'Traits',
  runOnRebuild: true,
  concerns(ask) {
    const { required, forbidden } = wishedTraits(ask, options);
    return required.size > 0 || forbidden.size > 0;
  },
  judge(host, ask): Verdict {
    const { required, forbidden } = wishedTraits(ask, options);
    for (const trait of required) if (!has(host, trait)) return no(`it lacks the trait ${trait}`);
    for (const trait of forbidden) if (has(host, trait)) return no(`it has the trait ${trait}, which is forbidden`);
    return ok;
  },
});

/** Aggregates with trait:X=required take only who asks for X.  Spec: isolate_aggregates. */
const isolatedAggregates = (options: PrefilterOptions): Filter => ({
  name: 'Isolated aggregates',
  runOnRebuild: true,
  judge(host, ask) {
    const { required } = wishedTraits(ask, options);
    for (const { metadata } of host.aggregates)
      for (const [key, value] of Object.entries(metadata))
        if (key.startsWith('trait:') && value === 'required' && !required.has(key.slice('trait:'.length)))
          return no(`the host is kept for who asks for the trait ${key.slice('trait:'.length)}`);
    return ok;
  },
});

const TENANT = 'filter_tenant_id';
const named = (metadata: Readonly<Record<string, string>>, project: string) =>
  Object.entries(metadata).some(([key, value]) => key.startsWith(TENANT) && value === project);
/** Projects that some aggregate names go there only; others nowhere when an aggregate is required.  Spec: require_tenant_aggregate. */
const tenantAggregates = (required: boolean): Filter => ({
  name: 'Tenant aggregates',
  runOnRebuild: true,
  judge(host, { wish: { projectId }, aggregates = [] }) {
    if (projectId === null) return ok;
    const own = aggregates.some(({ metadata }) => named(metadata, projectId));
    if (!own) return required ? no('no aggregate is for the project') : ok;
    return host.aggregates.some(({ metadata }) => named(metadata, projectId)) ? ok : no('the project has aggregates of its own');
  },
});
