import type { ImageClient } from '../../clients/image.ts';
import type { Database } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { VolumeStore } from './store.ts';
import type { Tasks } from './tasks.ts';

/** What the block storage service is made of. */
export interface VolumeParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: VolumeStore;
  readonly images: ImageClient;
  readonly tasks: Tasks;
  readonly zone: string;
  /** Name of the machine whose disk this is. */
  readonly host: string;
  /** Tells the compute service that a volume of a running server grew. */
  readonly grown: ((volumeId: string, servers: readonly string[]) => Promise<void>) | undefined;
}
/** Name of the one backend, as `host@backend#pool`. */
export const backendOf = (host: string) => `${host}@files#files`;
