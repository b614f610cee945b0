import { row } from './errors.ts';

export const decisionNotFound = row<{ id: string }>(
  'decision.not_found',
  'notFound',
  (p) => `Scheduler decision ${p.id} could not be found.`,
);
export const schedulerUnreachable = row<Record<string, never>>(
  'decision.no_scheduler',
  'conflict',
  () => 'No scheduler can be asked here: this API runs without a message bus to one.',
);
