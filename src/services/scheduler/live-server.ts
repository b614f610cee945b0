import type { HostServer } from '../../db/tables/compute/host-servers.ts';
import { typedProperties } from '../../model/image-properties.ts';
import type { PartsWish } from '../../model/machine-parts.ts';
import type { HostInstance } from './host-view.ts';
import type { Wish } from './wish.ts';

/** A server on a host, or chosen for it. */
export interface LiveServer extends HostInstance {
  readonly uuid: string;
  readonly host: string;
  readonly projectId: string | null;
  /** Cells and devices a choice asks for, while no claim tells what it got. */
  readonly parts: PartsWish | null;
  vmState: string;
  taskState: string | null;
}

/** Tasks that keep a host's disks and network busy.  Spec: io_workload of Nova's compute statistics. */
const BUSY = new Set(['resize_migrating', 'rebuilding', 'resize_prep', 'image_snapshot', 'image_backup', 'rescuing', 'unshelving']);
export const isBusy = ({ vmState, taskState }: Pick<LiveServer, 'vmState' | 'taskState'>) =>
  vmState === 'building' || (taskState !== null && BUSY.has(taskState));

const KEPT = 5000;
/** Makes servers out of rows. Images are alike for many servers: each is read once. */
export function serverReader(): (row: HostServer & { readonly host: string }) => LiveServer {
  const images = new Map<string, Image>();
  return (row) => {
    if (row.image === null) return new Standing(row, null, null);
    let image = images.get(row.image);
    if (!image) {
      if (images.size >= KEPT) images.clear();
      image = new Image(row.image);
      images.set(row.image, image);
    }
    return new Standing(row, image, null);
  };
}

class Standing implements LiveServer {
  readonly uuid: string;
  readonly host: string;
  readonly projectId: string | null;
  readonly flavorId: string;
  readonly parts: PartsWish | null;
  vmState: string;
  taskState: string | null;
  readonly #image: Pick<HostInstance, 'imageProperties'> | null;
  constructor(
    row: Pick<HostServer, 'uuid' | 'projectId' | 'flavorId' | 'vmState' | 'taskState'> & { readonly host: string },
    image: Pick<HostInstance, 'imageProperties'> | null,
    parts: PartsWish | null,
  ) {
    this.uuid = row.uuid;
    this.host = row.host;
    this.projectId = row.projectId;
    this.flavorId = row.flavorId;
    this.#image = image;
    this.parts = parts;
    this.vmState = row.vmState;
    this.taskState = row.taskState;
  }
  get imageProperties() {
    return this.#image?.imageProperties ?? null;
  }
}

/** A choice of this scheduler, which the database does not show yet. */
export const chosenServer = (wish: Wish, host: string): LiveServer =>
  new Standing(
    {
      uuid: wish.serverUuid,
      host,
      projectId: wish.projectId ?? '',
      flavorId: String(wish.flavor.id ?? ''),
      vmState: 'building',
      taskState: 'scheduling',
    },
    { imageProperties: wish.imageProperties },
    wish.numa || wish.pciRequests ? { numa: wish.numa, pciRequests: wish.pciRequests } : null,
  );

/** An image's properties, read out of its text when somebody asks. */
class Image {
  readonly #text: string;
  #read: HostInstance['imageProperties'] | undefined;
  constructor(text: string) {
    this.#text = text;
  }
  get imageProperties() {
    this.#read ??= propertiesOf(this.#text);
    return this.#read;
  }
}
/** None where a server that stands already was made of what nobody can read: it is there all the same. */
function propertiesOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const image = JSON.parse(text) as { readonly properties?: Readonly<Record<string, string>> } | null;
    return typedProperties(image?.properties ?? {});
  } catch {
    return {};
  }
}
