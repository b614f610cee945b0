import type { GuestSpec } from '../../hypervisors/driver.ts';
import type { AgentParts } from './parts.ts';

/** What one guest read from and wrote to one of its volumes since it began to. */
export interface VolumeUse {
  readonly serverUuid: string;
  readonly volumeId: string;
  readonly reads: number;
  readonly readBytes: number;
  readonly writes: number;
  readonly writeBytes: number;
}

/** The counts of guests' volumes, as their hypervisor has them now. A guest that does not answer is left out. */
export async function volumeUse({ driver, log }: Pick<AgentParts, 'driver' | 'log'>, guests: readonly GuestSpec[]): Promise<VolumeUse[]> {
  const uses: VolumeUse[] = [];
  for (const guest of guests) {
    if (guest.volumes.length === 0) continue;
    try {
      const { disks, state } = await driver.diagnostics(guest.uuid);
      if (state !== 'running' && state !== 'paused') continue;
      for (const { volumeId, device } of guest.volumes) {
        const disk = disks.find((one) => one.device === device.replace(/^\/dev\//, ''));
        if (!disk) continue;
        const { readRequests: reads, readBytes, writeRequests: writes, writeBytes } = disk;
        uses.push({ serverUuid: guest.uuid, volumeId, reads, readBytes, writes, writeBytes });
      }
    } catch (cause) {
      log.debug({ err: cause, server: guest.uuid }, 'the volumes of a guest could not be counted');
    }
  }
  return uses;
}
