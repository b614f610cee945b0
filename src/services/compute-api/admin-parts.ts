import type { Bus } from '../../bus/bus.ts';
import type { ComputeParts } from './parts.ts';

/** What is asked of the agents of hosts. */
export interface AgentPort {
  /** Asks a host's agent to fetch images ahead of time. Only a wish: it may be lost, and nobody tells how it went. */
  cacheImages(host: string, imageIds: readonly string[]): Promise<void>;
}

/** What the handlers of operators' nouns work with. */
export interface AdminParts extends ComputeParts {
  readonly bus: Pick<Bus, 'ring'>;
  readonly agents: AgentPort;
}
