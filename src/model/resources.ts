import type { Flavor } from './server.ts';

/** Resource classes a server claims, in the order in which every claim takes them: one order for all, so that two claims never wait for each other. */
export const claimClasses = ['DISK_GB', 'MEMORY_MB', 'VCPU'] as const;
export type ClaimClass = (typeof claimClasses)[number];
/** What a server takes of its host: MiB of memory, GiB of disk, virtual CPUs. */
export interface Amounts {
  readonly VCPU: number;
  readonly MEMORY_MB: number;
  readonly DISK_GB: number;
}
export const nothing: Amounts = { VCPU: 0, MEMORY_MB: 0, DISK_GB: 0 };

/** Disk is root + ephemeral + swap rounded up to whole GiB; a root of 0 counts nothing, as in Nova. */
export const amountsOf = (flavor: Pick<Flavor, 'vcpus' | 'memoryMiB' | 'rootGiB' | 'ephemeralGiB' | 'swapMiB'>): Amounts => ({
  VCPU: flavor.vcpus,
  MEMORY_MB: flavor.memoryMiB,
  DISK_GB: flavor.rootGiB + flavor.ephemeralGiB + Math.ceil(flavor.swapMiB / 1024),
});

/** What `used` may not exceed.  Spec: placement api-ref, "capacity". */
export const capacityOf = (total: number, reserved: number, ratio: number) => Math.max(0, Math.floor((total - reserved) * ratio));

/** What filters look at in a flavor beside its amounts. */
export const flavorAsked = ({ flavorId, name, rootGiB, ephemeralGiB, swapMiB }: Flavor) => ({
  id: flavorId,
  name,
  rootGiB,
  ephemeralGiB,
  swapMiB,
});
