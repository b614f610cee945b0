/** Nova's countable and per-request limits with the defaults of its [quota] options; -1 is no limit. */
export const quotaDefaults = {
  instances: 10,
  cores: 20,
  ram: 51_200,
  metadata_items: 128,
  injected_files: 5,
  injected_file_content_bytes: 10_240,
  injected_file_path_bytes: 255,
  key_pairs: 100,
  server_groups: 10,
  server_group_members: 10,
} as const;

/** Limits of networks that Nova once held itself. They are kept and shown to the versions that know them, and nobody counts them. */
export const networkQuotaDefaults = { fixed_ips: -1, floating_ips: -1, security_groups: -1, security_group_rules: -1 } as const;
export type NetworkResource = keyof typeof networkQuotaDefaults;
export const networkResources = Object.keys(networkQuotaDefaults) as NetworkResource[]; // of the literal above
/** Every limit that can be set. */
export type LimitName = QuotaResource | NetworkResource;

export type QuotaResource = keyof typeof quotaDefaults;
export type QuotaDefaults = Record<QuotaResource, number>;
export const quotaResources = Object.keys(quotaDefaults) as QuotaResource[];
