import type { GuestNuma, NetworkWish } from '../../model/numa/topology.ts';
import type { PciRequest } from '../../model/pci/pools.ts';

/** What is asked of a host, as filters and weighers read it.  Spec: Nova's RequestSpec. */
export interface Wish {
  readonly serverUuid: string;
  readonly projectId: string | null;
  readonly availabilityZone: string | null;
  readonly flavor: {
    /** Key and name; null where the request does not carry them. */
    readonly id: number | string | null;
    readonly name: string | null;
    readonly vcpus: number;
    readonly memoryMiB: number;
    readonly rootGiB: number;
    readonly ephemeralGiB: number;
    readonly swapMiB: number;
  };
  /** In order. Null: the flavor has none at all. */
  readonly extraSpecs: Readonly<Record<string, string>> | null;
  readonly imageId: string | null;
  /** 'qcow2', 'raw' ... */
  readonly imageFormat: string | null;
  /** Values as their types are: true, 2, 'q35'. */
  readonly imageProperties: Readonly<Record<string, unknown>>;
  /** Each a list, as Nova keeps them. */
  readonly hints: Readonly<Record<string, unknown>> | null;
  readonly group: Group | null;
  readonly triedHosts: readonly (readonly [host: string, node: string | null])[];
  readonly destination: {
    readonly host: string | null;
    /** Null: any. Undefined: the request does not say, which is an error beside a host. */
    readonly node: string | null | undefined;
    readonly cell: string | null;
    readonly allowCrossCellMove: boolean;
  } | null;
  readonly ignoredHosts: readonly string[];
  /** Taken as they are: no filter is asked. */
  readonly forcedHosts: readonly string[];
  readonly forcedNodes: readonly string[];
  readonly numa: GuestNuma | null;
  readonly network: NetworkWish | null;
  readonly pciRequests: readonly PciRequest[] | null;
}
export interface Group {
  readonly policy: string;
  readonly maxPerHost: number;
  /** Hosts where members are. */
  readonly hosts: { readonly size: number; has(host: string): boolean };
  membersOn(host: { readonly host: string; readonly instances: ReadonlyMap<string, unknown> }): number;
}

/** A hint: alone when its list holds one thing. */
export function hintOf({ hints }: Wish, name: string): unknown {
  const value = hints?.[name];
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}

/** Whether the server is being rebuilt where it is: only few filters are asked then. Throws when there are no hints at all, as Nova does. */
export function isRebuild({ hints }: Wish): boolean {
  if (hints === null) throw new Error('the request has no scheduler hints');
  const { _nova_check_type: check } = hints;
  return Array.isArray(check) && check.length === 1 && check[0] === 'rebuild';
}
