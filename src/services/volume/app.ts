import type { ImageClient } from '../../clients/image.ts';
import type { Database } from '../../db/engine.ts';
import { type App, createApp, type TokenCheck } from '../../http/app.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { compilePolicy } from '../../model/policy.ts';
import { volumeDialect } from './dialect.ts';
import { volumeMicroversions } from './microversions.ts';
import type { VolumeParts } from './parts.ts';
import { volumePolicy } from './policy.ts';
import { volumeRoutes } from './routes.ts';
import { openVolumeStore } from './store.ts';
import { openTasks } from './tasks.ts';
import { seedTypes } from './types.ts';

export interface VolumeAppOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  /** Where the volumes lie. The hosts that attach them must see the same directory. */
  readonly storeDir: string;
  /** Images that volumes are made of and become, asked as our service user. */
  readonly images: ImageClient;
  readonly checkToken: TokenCheck;
  readonly host: string;
  readonly zone?: string;
  /** Tells compute that a volume of running servers grew. */
  readonly grown?: (volumeId: string, servers: readonly string[]) => Promise<void>;
  /** Tells compute that an image was written over a volume that servers have set aside; `done` false: it failed. */
  readonly reimaged?: (volumeId: string, servers: readonly string[], done: boolean) => Promise<void>;
  /** False where other processes do the same work: theirs is left to them until their leases run out. */
  readonly alone?: boolean;
  /** Path of qemu-img; null to do without. */
  readonly qemuImg?: string | null;
  readonly policyOverrides?: Readonly<Record<string, string>>;
  readonly publicUrl?: string | undefined;
}
export interface VolumeApp extends App {
  /** Resolves when nothing is being done to any volume here. */
  idle(): Promise<void>;
}

/** The block storage API v3 under /volume/v3, on volumes that are files. Goes on with what a former process left half done.
 *  Throws volumeStoreDenied when the directory cannot be used. */
export async function createVolumeApp(options: VolumeAppOptions): Promise<VolumeApp> {
  const { db, clock, images, checkToken } = options;
  const log = options.log.child({ service: 'volume' });
  const store = await openVolumeStore(options.storeDir, options.qemuImg === undefined ? {} : { qemuImg: options.qemuImg });
  await seedTypes({ db, clock });
  const tasks = await openTasks({
    db,
    clock,
    log,
    store,
    images,
    grown: options.grown,
    reimaged: options.reimaged,
    alone: options.alone ?? true,
  });
  const parts: VolumeParts = {
    db,
    clock,
    log,
    store,
    images,
    tasks,
    zone: options.zone ?? 'nova',
    host: options.host,
    grown: options.grown,
  };
  const app = await createApp<VolumeParts>({
    name: 'volume',
    mounts: ['/volume'],
    routes: volumeRoutes,
    parts,
    policy: compilePolicy(volumePolicy, options.policyOverrides),
    checkToken,
    dialect: volumeDialect,
    log,
    microversions: volumeMicroversions,
    publicUrl: options.publicUrl,
  });
  return {
    ...app,
    idle: () => tasks.idle(),
    async close() {
      await app.close();
      await tasks.stop();
    },
  };
}
