import type { Bus } from '../../bus/bus.ts';
import type { GuestCells } from '../../bus/contracts/guest-cells.ts';
import type { GuestNumbers } from '../../bus/contracts/guest-numbers.ts';
import type { VolumeClient } from '../../clients/volume.ts';
import type { Database } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { ImageSnapshot, RequestedNetworks, Server } from '../../model/server.ts';
import type { ChangeHub } from './change-hub.ts';
import { quotaDefaults } from './quota-defaults.ts';

/** On whose behalf a neighbour is asked while a request is served. */
export interface Asker {
  readonly token: string | null;
  readonly projectId: string;
  readonly userId: string;
  readonly requestId: string;
}

/** What servers ask of the image service. */
export interface ImagePort {
  /** The image as the asker sees it, or undefined when there is none. Throws neighbourUnavailable. */
  show(id: string, asker: Asker): Promise<ServerImage | undefined>;
  /** Registers an image without data, as the asker's; answers its id. Throws CloudErrors of the kind of the image service's refusal. */
  create(wish: NewImage, asker: Asker): Promise<string>;
  /** Takes an image away that nothing was made of. Safe twice. */
  remove(id: string): Promise<void>;
  /** Where clients find an image. `origin`: where the client found us. */
  location(id: string, origin: string): string;
}
/** An image that a server's disk shall become. */
export interface NewImage {
  readonly id?: string;
  readonly name: string;
  readonly visibility: 'private' | 'shared';
  readonly minDiskGiB: number;
  readonly minMemoryMiB: number;
  readonly properties: Readonly<Record<string, string>>;
}
export interface ServerImage extends ImageSnapshot {
  /** 'active' when it can be booted. */
  readonly status: string;
}

/** What servers ask of the network service. */
export interface NetworkPort {
  /** Looks whether these networks, ports, addresses and security groups are there and free for so many servers.
   *  Answers what stands in the server's row: for ports their network as well.
   *  Throws CloudErrors of kind invalid (400), forbidden (403: ports quota, external networks) or conflict (409: ambiguous networks). */
  validate(asked: RequestedNetworks, more: NetworkCheck): Promise<RequestedNetworks>;
}
export interface NetworkCheck {
  readonly asker: Asker;
  /** How many servers will be made. */
  readonly servers: number;
  /** Security groups by name or id. */
  readonly securityGroups: readonly string[];
  /** What the asker may use beside networks of the project and shared ones: external networks, and those of every project. */
  readonly reach: { readonly external: boolean; readonly everyProject: boolean };
}

/** What the server routes work with. */
export interface ServerParts {
  /** This machine in notifications. */
  readonly host?: string;
  readonly db: Database;
  /** `ask` reaches the schedulers; without it decisions cannot be explained. */
  readonly bus: Pick<Bus, 'ring'> & Partial<Pick<Bus, 'ask'>>;
  /** The change feed, read once for all who follow it. */
  readonly changes: ChangeHub;
  readonly clock: Clock;
  readonly log: Log;
  readonly images: ImagePort;
  readonly networks: NetworkPort;
  readonly volumes: VolumeClient;
  /** The newest lines of a server's serial console, all that are kept without `lines`. Throws CloudErrors: conflict when the host does not answer. */
  readonly console: (server: Server, lines: number | null) => Promise<string>;
  /** Numbers of a server's guest. Throws CloudErrors: conflict when the host does not answer. */
  readonly diagnostics: (server: Server) => Promise<GuestNumbers>;
  /** Where a server's memory cells stand; null when its guest has none. Throws CloudErrors: conflict when the host does not answer. */
  readonly guestCells?: (server: Server) => Promise<GuestCells | null>;
  /** Nova's [api] max_limit: the longest page; 1000 when absent. */
  readonly maxLimit?: number;
  /** Nova's service_down_time in seconds; 60 when absent. */
  readonly serviceDownSeconds?: number;
  /** Nova's [quota] options that differ from their defaults. */
  readonly quotas?: Readonly<Partial<Record<string, number>>>;
  /** Seconds for which a deleted server can be restored; 0 or absent: deletes are for good. */
  readonly reclaimSeconds?: number;
  /** Image that rescues when the request names none; the server's own when absent. */
  readonly rescueImage?: string;
  /** Nova's allow_resize_to_same_host; false when absent. */
  readonly resizeToSameHost?: boolean;
  /** Nova's shelved_offload_time: only 0 makes a shelved server leave its host at once. 0 when absent. */
  readonly shelvedOffloadSeconds?: number;
  /** Nova's [api] enable_instance_password; true when absent. */
  readonly showPasswords?: boolean;
}

/** Every limit as configured for projects without limits of their own. */
export function defaultLimits(parts: Pick<ServerParts, 'quotas'>): Record<string, number> {
  const limits: Record<string, number> = { ...quotaDefaults };
  for (const [resource, limit] of Object.entries(parts.quotas ?? {})) if (limit !== undefined) limits[resource] = limit;
  return limits;
}
