import { row } from './errors.ts';

export const busTimeout = row<{ receiver: string; message: string }>(
  'bus.timeout',
  'unavailable',
  (p) => `The ${p.receiver} did not answer ${p.message} in time.`,
);
export const busUnavailable = row<{ why: string }>(
  'bus.unavailable',
  'unavailable',
  () => 'The message bus does not answer. Nothing was changed; try again in a moment.',
);
export const badMessage = row<{ receiver: string; message: string; why: string }>(
  'bus.bad_message',
  'internal',
  (p) => `A message ${p.message} to ${p.receiver} does not fit its contract: ${p.why}`,
);
