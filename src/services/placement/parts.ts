import type { Database } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Forest } from './search/forest.ts';

export interface PlacementParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly forest: Forest;
  /** Whether links name the mount by which a request came ('/placement'), or stand at the root of the server. */
  readonly linkMount: boolean;
}
