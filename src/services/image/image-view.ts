import { isoSeconds } from '../../lib/clock.ts';
import type { Image, ImageMember } from '../../model/image.ts';

/** An image as clients see it: custom properties stand beside the others.  Spec: image api-ref "Show image". */
export const imageView = (image: Image) => ({
  ...image.properties,
  name: image.name,
  disk_format: image.diskFormat,
  container_format: image.containerFormat,
  visibility: image.visibility,
  size: image.sizeBytes,
  virtual_size: image.virtualSizeBytes,
  status: image.status,
  checksum: image.checksum,
  protected: image.protected,
  min_ram: image.minMemoryMiB,
  min_disk: image.minDiskGiB,
  owner: image.owner,
  os_hidden: image.hidden,
  os_hash_algo: image.hashAlgo,
  os_hash_value: image.hashValue,
  id: image.id,
  created_at: isoSeconds(image.createdAt),
  updated_at: isoSeconds(image.updatedAt),
  tags: image.tags,
  self: `/v2/images/${image.id}`,
  file: `/v2/images/${image.id}/file`,
  schema: '/v2/schemas/image',
});

export const memberView = (member: ImageMember) => ({
  member_id: member.projectId,
  image_id: member.imageId,
  status: member.status,
  created_at: isoSeconds(member.createdAt),
  updated_at: isoSeconds(member.updatedAt),
  schema: '/v2/schemas/member',
});
