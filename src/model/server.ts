import type { Micros } from '../lib/clock.ts';

/** A flavor. Sizes carry their unit; `flavorId` is the id users see, `id` the integer key. */
export interface Flavor {
  readonly id: number;
  readonly flavorId: string;
  readonly name: string;
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly rootGiB: number;
  readonly ephemeralGiB: number;
  readonly swapMiB: number;
  readonly rxtxFactor: number;
  readonly isPublic: boolean;
  readonly disabled: boolean;
  readonly description: string | null;
  readonly extraSpecs: Readonly<Record<string, string>>;
}

/** An image as it was when a server was made from it. */
export interface ImageSnapshot {
  readonly id: string;
  readonly name: string;
  readonly diskFormat: 'qcow2' | 'raw' | 'aki' | 'ari' | 'ami' | 'iso';
  readonly containerFormat: string;
  readonly sizeBytes: number;
  readonly hashAlgo: string;
  readonly hashValue: string;
  readonly minDiskGiB: number;
  readonly minMemoryMiB: number;
  /** hw_*, os_*, kernel_id, ramdisk_id, architecture ...: every custom property. */
  readonly properties: Readonly<Record<string, string>>;
}

/** What a create asked of networks: nothing ('none'), whatever the project has ('auto', also for older requests that name no network), or a list. */
export type RequestedNetworks = 'none' | 'auto' | readonly RequestedNetwork[];
export interface RequestedNetwork {
  readonly networkId: string | null;
  readonly portId: string | null;
  readonly fixedIp: string | null;
  readonly tag: string | null;
}

/** One port of a server, as last known. Enough for the addresses view and for the guest. */
export interface NetworkInfo {
  readonly portId: string;
  readonly networkId: string;
  readonly networkName: string;
  readonly mac: string;
  readonly mtu: number;
  /** 'fixed' or 'floating' addresses with IP version 4 or 6. */
  readonly addresses: readonly {
    readonly address: string;
    readonly version: 4 | 6;
    readonly type: 'fixed' | 'floating';
    readonly cidr: string;
    readonly gateway: string | null;
  }[];
  readonly nameServers: readonly string[];
  /** True for ports the user brought: they outlive the server. */
  readonly preserve: boolean;
  readonly securityGroups: readonly string[];
  readonly tag: string | null;
}

/** A volume of a server, as its row lists it; without an id while it is still to be made. */
export interface ServerVolume {
  readonly volumeId: string | null;
  readonly deleteOnTermination: boolean;
}

export interface ServerFault {
  readonly code: number;
  readonly message: string;
  readonly details: string | null;
  readonly created: Micros;
}

/** Nova's power_state numbers. */
export const powerStates = { pending: 0, running: 1, paused: 3, shutdown: 4, crashed: 6, suspended: 7 } as const;

/** A server as every room knows it; one row of `servers`. */
export interface Server {
  readonly id: number;
  readonly uuid: string;
  readonly reservationId: string;
  readonly projectId: string;
  readonly userId: string;
  readonly name: string;
  readonly description: string | null;
  readonly hostname: string;
  readonly vmState: string;
  readonly taskState: string | null;
  readonly powerState: number;
  readonly progress: number;
  readonly host: string | null;
  readonly node: string | null;
  readonly launchedOn: string | null;
  readonly cellUuid: string;
  readonly epoch: number;
  readonly flavor: Flavor;
  /** Of a volume-backed server: what its root volume says of its image, without data. */
  readonly image: ImageSnapshot | null;
  /** Null for a volume-backed server. */
  readonly imageId: string | null;
  readonly keyName: string | null;
  readonly keyData: string | null;
  readonly userData: string | null;
  readonly configDrive: string;
  readonly availabilityZone: string | null;
  readonly accessIpV4: string | null;
  readonly accessIpV6: string | null;
  readonly diskConfig: 'AUTO' | 'MANUAL';
  readonly rootDeviceName: string | null;
  readonly launchIndex: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly requestedNetworks: RequestedNetworks;
  readonly securityGroups: readonly string[];
  readonly networkInfo: readonly NetworkInfo[];
  readonly volumes: readonly ServerVolume[];
  readonly schedulerHints: Readonly<Record<string, unknown>>;
  readonly trustedCerts: readonly string[] | null;
  readonly fault: ServerFault | null;
  readonly locked: boolean;
  readonly lockedReason: string | null;
  /** Whose lock it is: an owner's may be lifted by the project, an admin's only by those whom `unlock_override` trusts. */
  readonly lockedBy: 'owner' | 'admin' | null;
  readonly createdAt: Micros;
  readonly updatedAt: Micros;
  readonly launchedAt: Micros | null;
  readonly terminatedAt: Micros | null;
  readonly deleted: boolean;
  readonly deletedAt: Micros | null;
  /** When it was deleted softly; it holds no quota then. */
  readonly softDeletedAt: Micros | null;
  readonly revision: number;
}

/** One cell: a label within one database (docs/differences.md). */
export const CELL_UUID = '00000000-0000-4000-8000-000000000001';
/** Zone of hosts that no aggregate puts elsewhere. */
export const DEFAULT_ZONE = 'nova';
/** Nova's instance_name_template. */
export const guestName = (id: number) => `instance-${id.toString(16).padStart(8, '0')}`;
