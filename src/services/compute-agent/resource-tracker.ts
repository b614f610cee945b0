import type { HostInventory } from '../../hypervisors/driver.ts';
import { type Amounts, type ClaimClass, capacityOf, claimClasses } from '../../model/resources.ts';

export interface Shares {
  readonly ratios: { readonly vcpu: number; readonly memory: number; readonly disk: number };
  readonly reserved: { readonly vcpu: number; readonly memoryMiB: number; readonly diskGiB: number };
}

/** Counts what guests were promised on this host: the agent's own check, made before it builds, of what the conductor claimed in the database. */
export interface ResourceTracker {
  /** The limits, from what the hypervisor offers and the shares the conductor told. */
  limit(inventory: HostInventory, shares: Shares): void;
  /** Takes amounts for a guest, or says what is short. Taking twice for one guest counts once. */
  claim(uuid: string, amounts: Amounts): string | null;
  /** Safe twice. */
  release(uuid: string): void;
  /** What more was promised of than the host has now, as words; null: nothing. */
  overdrawn(): string | null;
}

export function createResourceTracker(): ResourceTracker {
  const claims = new Map<string, Amounts>();
  const used: Record<ClaimClass, number> = { VCPU: 0, MEMORY_MB: 0, DISK_GB: 0 };
  let capacity: Record<ClaimClass, number> | undefined;
  const add = (amounts: Amounts, sign: number) => {
    for (const name of claimClasses) used[name] += sign * amounts[name];
  };
  return {
    limit(inventory, { ratios, reserved }) {
      const { vcpus, memoryMiB, diskGiB } = inventory;
      capacity = {
        VCPU: capacityOf(vcpus, reserved.vcpu, ratios.vcpu),
        MEMORY_MB: capacityOf(memoryMiB, Math.min(reserved.memoryMiB, memoryMiB), ratios.memory),
        DISK_GB: capacityOf(diskGiB, Math.min(reserved.diskGiB, diskGiB), ratios.disk),
      };
    },
    claim(uuid, amounts) {
      if (claims.has(uuid)) return null;
      for (const name of claimClasses)
        if (capacity && amounts[name] > 0 && used[name] + amounts[name] > capacity[name])
          return `${name} ${amounts[name]} asked, ${Math.max(0, capacity[name] - used[name])} of ${capacity[name]} free`;
      claims.set(uuid, amounts);
      add(amounts, 1);
      return null;
    },
    overdrawn() {
      const limits = capacity;
      if (!limits) return null;
      const over = claimClasses.filter((name) => used[name] > limits[name]);
      return over.length === 0 ? null : over.map((name) => `${name} ${used[name]} of ${limits[name]}`).join(', ');
    },
    release(uuid) {
      const amounts = claims.get(uuid);
      if (!amounts) return;
      claims.delete(uuid);
      add(amounts, -1);
    },
  };
}
