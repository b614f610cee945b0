import type { AgentReport } from '../../bus/contracts/conductor.ts';
import type { Clock } from '../../lib/clock.ts';

type Phase = AgentReport['phases'][number];
/** Notes how long the parts of a deed take. */
export interface Phases {
  readonly done: Phase[];
  /** Does a part and answers what it answers; one that throws is not noted. `details` may look at the answer. */
  run<T>(name: string, work: () => Promise<T>, details?: (answer: T) => string | null): Promise<T>;
}
export function createPhases(clock: Clock): Phases {
  const done: Phase[] = [];
  return {
    done,
    async run(name, work, details = () => null) {
      const startedAt = clock.now();
      const answer = await work();
      done.push({ name, startedAt, finishedAt: clock.now(), details: details(answer) });
      return answer;
    },
  };
}
