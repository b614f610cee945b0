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

export type QuotaResource = keyof typeof quotaDefaults;
export type QuotaDefaults = Record<QuotaResource, number>;
export const quotaResources = Object.keys(quotaDefaults) as QuotaResource[];
