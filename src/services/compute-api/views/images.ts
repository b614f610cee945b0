import type { Call } from '../../../http/call.ts';
import { isoSeconds } from '../../../lib/clock.ts';
import type { Image } from '../../../model/image.ts';
import { linksTo } from '../links.ts';
import { isYes } from '../shapes/query.ts';

const STATUS: Readonly<Record<string, string>> = {
  active: 'ACTIVE',
  queued: 'SAVING',
  saving: 'SAVING',
  deleted: 'DELETED',
  pending_delete: 'DELETED',
  killed: 'ERROR',
};
const PROGRESS: Readonly<Record<string, number>> = { queued: 25, saving: 50, active: 100 };

/** An image as the list without details shows it. `imageUrl`: where clients reach the image service.  Spec: compute api-ref "List Images". */
export const imageNameView = (call: Call, image: Image, imageUrl: string) => ({
  id: image.id,
  name: image.name,
  links: [
    ...linksTo(call, 'images', image.id),
    { rel: 'alternate', type: 'application/vnd.openstack.image', href: `${imageUrl}/images/${encodeURIComponent(image.id)}` },
  ],
});

/** An image with its details.  Spec: compute api-ref "Show Image Details". */
export function imageView(call: Call, image: Image, imageUrl: string) {
  const { properties, status } = image;
  const server = properties.instance_uuid;
  const disk = properties.auto_disk_config;
  return {
    ...imageNameView(call, image, imageUrl),
    minRam: image.minMemoryMiB,
    minDisk: image.minDiskGiB,
    metadata: properties,
    created: isoSeconds(image.createdAt),
    updated: isoSeconds(image.updatedAt),
    status: STATUS[status] ?? 'UNKNOWN',
    progress: PROGRESS[status] ?? 0,
    'OS-EXT-IMG-SIZE:size': image.sizeBytes ?? 0,
    ...(server === undefined ? {} : { server: { id: server, links: linksTo(call, 'servers', server) } }),
    ...(disk === undefined ? {} : { 'OS-DCF:diskConfig': isYes(disk) ? 'AUTO' : 'MANUAL' }),
  };
}
