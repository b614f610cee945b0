import { body, type Infer, leaf, required, until, type Version } from '../../../lib/shape.ts';
import { MAX_INT, yesNo } from './flavors.ts';
import { query, texts } from './query.ts';

const limit = leaf<number | string>({ type: ['integer', 'string'], pattern: '^-?[0-9]{1,10}$', minimum: -1, maximum: MAX_INT });
const ofFiles = until('2.56', limit);
const limits = {
  instances: limit,
  cores: limit,
  ram: limit,
  metadata_items: limit,
  key_pairs: limit,
  server_groups: limit,
  server_group_members: limit,
  injected_files: ofFiles,
  injected_file_content_bytes: ofFiles,
  injected_file_path_bytes: ofFiles,
};
const networksUntil = (version: Version) => {
  const ofNetworks = until(version, limit);
  return { floating_ips: ofNetworks, fixed_ips: ofNetworks, security_groups: ofNetworks, security_group_rules: ofNetworks };
};

export const quotaUpdate = body({
  quota_set: required(
    body({
      ...limits,
      ...networksUntil('2.35'),
      force: yesNo,
    }),
  ),
});
export type QuotaUpdate = Infer<typeof quotaUpdate>;

export const quotaQuery = query({ user_id: texts() }, '2.75');

export const quotaClassUpdate = body({
  quota_class_set: required(
    body({
      ...limits,
      ...networksUntil('2.49'),
    }),
  ),
});
export type QuotaClassUpdate = Infer<typeof quotaClassUpdate>;
