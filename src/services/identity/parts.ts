import type { Database } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { CatalogBuilder } from './catalog.ts';
import type { Standing } from './check-token.ts';
import type { Feed } from './feed.ts';
import type { KeyRing } from './key-ring.ts';

/** What the handlers of this room work with. */
export interface Parts {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly keys: KeyRing;
  readonly feed: Feed;
  readonly catalog: CatalogBuilder;
  /** How long a new token lives. */
  readonly tokenSeconds: number;
  readonly standing: (token: string) => Promise<Standing>;
}
