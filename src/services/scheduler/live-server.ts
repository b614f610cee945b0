import type { HostServer } from '../../db/tables/compute/host-servers.ts';
import type { HostInstance } from './host-view.ts';
import { typedProperties } from './image-properties.ts';
import { guestNumaOf } from './numa/constraints.ts';
import type { GuestNuma } from './numa/topology.ts';
import { type PciAlias, pciRequestsOf } from './pci/aliases.ts';
import type { PciRequest } from './pci/pools.ts';
import type { Wish } from './wish.ts';

/** What a server takes of a host beyond amounts, read out of its flavor and image when somebody asks. */
export interface Shape {
  readonly imageProperties: Readonly<Record<string, unknown>> | null;
  readonly numa: GuestNuma | null;
  readonly pciRequests: readonly PciRequest[] | null;
}
/** A server on a host, or chosen for it. */
export interface LiveServer extends HostInstance {
  readonly uuid: string;
  readonly host: string;
  readonly projectId: string | null;
  readonly shape: Shape;
  vmState: string;
  taskState: string | null;
}

/** Tasks that keep a host's disks and network busy.  Spec: io_workload of Nova's compute statistics. */
const BUSY = new Set(['resize_migrating', 'rebuilding', 'resize_prep', 'image_snapshot', 'image_backup', 'rescuing', 'unshelving']);
export const isBusy = ({ vmState, taskState }: Pick<LiveServer, 'vmState' | 'taskState'>) =>
  vmState === 'building' || (taskState !== null && BUSY.has(taskState));

const KEPT = 5000;
/** Makes servers out of rows. Flavors and images are alike for many servers: each pair of them is read once. */
export function serverReader(aliases: readonly PciAlias[]): (row: HostServer & { readonly host: string }) => LiveServer {
  const shapes = new Map<string, Shape>();
  return (row) => {
    const key = `${row.image ?? ''}\n${row.flavor}`;
    let shape = shapes.get(key);
    if (!shape) {
      if (shapes.size >= KEPT) shapes.clear();
      shape = new TextShape(row.flavor, row.image, aliases);
      shapes.set(key, shape);
    }
    return new Standing(row, shape);
  };
}

class Standing implements LiveServer {
  readonly uuid: string;
  readonly host: string;
  readonly projectId: string | null;
  readonly flavorId: string;
  readonly shape: Shape;
  vmState: string;
  taskState: string | null;
  constructor(
    row: Pick<HostServer, 'uuid' | 'projectId' | 'flavorId' | 'vmState' | 'taskState'> & { readonly host: string },
    shape: Shape,
  ) {
    this.uuid = row.uuid;
    this.host = row.host;
    this.projectId = row.projectId;
    this.flavorId = row.flavorId;
    this.shape = shape;
    this.vmState = row.vmState;
    this.taskState = row.taskState;
  }
  get imageProperties() {
    return this.shape.imageProperties;
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
    { imageProperties: wish.imageProperties, numa: wish.numa, pciRequests: wish.pciRequests },
  );

class TextShape implements Shape {
  readonly #flavor: string;
  readonly #image: string | null;
  readonly #aliases: readonly PciAlias[];
  #read: Shape | undefined;
  constructor(flavor: string, image: string | null, aliases: readonly PciAlias[]) {
    this.#flavor = flavor;
    this.#image = image;
    this.#aliases = aliases;
  }
  get imageProperties() {
    return this.#shape.imageProperties;
  }
  get numa() {
    return this.#shape.numa;
  }
  get pciRequests() {
    return this.#shape.pciRequests;
  }
  get #shape(): Shape {
    this.#read ??= shapeOf(JSON.parse(this.#flavor), this.#image === null ? null : JSON.parse(this.#image), this.#aliases);
    return this.#read;
  }
}

interface FlavorText {
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly extraSpecs?: Readonly<Record<string, string>>;
}
/** Null where a server that stands already asks for what nobody can read: it is there all the same. */
function shapeOf(
  flavor: FlavorText,
  image: { readonly properties?: Readonly<Record<string, string>> } | null,
  aliases: readonly PciAlias[],
): Shape {
  const lenient = <T>(read: () => T): T | null => {
    try {
      return read();
    } catch {
      return null;
    }
  };
  const { vcpus, memoryMiB, extraSpecs = {} } = flavor;
  const imageProperties = lenient(() => typedProperties(image?.properties ?? {})) ?? {};
  return {
    imageProperties: image && imageProperties,
    numa: lenient(() => guestNumaOf({ vcpus, memoryMiB, extraSpecs, imageProperties })),
    pciRequests: lenient(() => pciRequestsOf(extraSpecs, imageProperties.hw_pci_numa_affinity_policy, aliases)),
  };
}
