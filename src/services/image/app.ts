import type { Database } from '../../db/engine.ts';
import { type App, createApp, type TokenCheck } from '../../http/app.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { compilePolicy } from '../../model/policy.ts';
import { imageDialect } from './dialect.ts';
import type { ImageParts } from './find-image.ts';
import { imagePolicy } from './policy.ts';
import { recoverImages } from './recover.ts';
import { routes } from './routes.ts';
import { openImageStore } from './store.ts';

export interface ImageAppOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  /** Where image data lies; this process and its workers alone may write there. */
  readonly storeDir: string;
  readonly checkToken: TokenCheck;
  readonly policyOverrides?: Readonly<Record<string, string>>;
  readonly publicUrl?: string | undefined;
  /** False where another process does it for this one: uploads of those that share the store are not to be undone. */
  readonly recover?: boolean;
  /** Default 1 TiB, as Glance's image_size_cap. */
  readonly maxImageBytes?: number;
}

/** The image API, v2, under /image. Undoes uploads that a former process left half done before it answers.
 *  Throws imageStoreDenied when the data directory cannot be used. */
export async function createImageApp(options: ImageAppOptions): Promise<App> {
  const { db, clock, checkToken } = options;
  const log = options.log.child({ service: 'image' });
  const store = await openImageStore(options.storeDir);
  const parts: ImageParts = { db, clock, log, store, maxImageBytes: options.maxImageBytes ?? 1024 ** 4 };
  if (options.recover !== false) await recoverImages(parts);
  return createApp<ImageParts>({
    name: 'image',
    mounts: ['/image'],
    routes,
    parts,
    policy: compilePolicy(imagePolicy, options.policyOverrides),
    checkToken,
    dialect: imageDialect(routes),
    log,
    publicUrl: options.publicUrl,
  });
}
