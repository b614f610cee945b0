import type { Database } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Generation } from './search/find-candidates.ts';
import type { Forest } from './search/forest.ts';

/** Spec: [placement] of placement.conf. */
export interface CandidateOptions extends Generation {
  /** Random order, and of more than a limit some by chance.  Spec: randomize_allocation_candidates. */
  readonly randomize: boolean;
  /** From 0 up to but not 1. */
  readonly random: () => number;
}
export const candidateDefaults: CandidateOptions = { max: null, breadthFirst: false, randomize: false, random: Math.random };

export interface PlacementParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly forest: Forest;
  readonly candidates: CandidateOptions;
  /** Whether links name the mount by which a request came ('/placement'), or stand at the root of the server. */
  readonly linkMount: boolean;
}
