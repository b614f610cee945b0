import { row } from './errors.ts';

export const noValidHost = row<{ why: string }>('build.no_valid_host', 'internal', (p) => `No valid host was found. ${p.why}`);
export const triesExhausted = row<{ attempts: number; uuid: string; last: string }>(
  'build.tries_exhausted',
  'internal',
  (p) =>
    `Exceeded maximum number of retries. Exceeded max scheduling attempts ${p.attempts} for instance ${p.uuid}. Last exception: ${p.last}`,
);
export const groupNotFound = row<{ uuid: string }>(
  'build.group_not_found',
  'notFound',
  (p) => `Server group ${p.uuid} could not be found.`,
);
export const jobDeadlinePassed = row<{ kind: string; seconds: number; step: string }>(
  'job.deadline_passed',
  'unavailable',
  (p) => `The job ${p.kind} did not end within ${p.seconds} seconds; it stood at the step ${p.step}.`,
);
export const hostDown = row<{ host: string }>(
  'host.down',
  'unavailable',
  () => 'The compute service that runs this server is down, so the action could not be done.',
);
export const hostTaken = row<{ host: string; why: string }>(
  'host.taken',
  'conflict',
  (p) => `The host name ${p.host} belongs to another compute agent: ${p.why}`,
);
export const staleAgent = row<{ host: string; epoch: number }>(
  'host.stale_agent',
  'conflict',
  (p) => `Another compute agent took over host ${p.host}; epoch ${p.epoch} is no longer its owner.`,
);
export const jobVanished = row<Record<string, never>>(
  'job.vanished',
  'internal',
  () => 'The work on this server ended without an outcome; the action can be repeated.',
);
export const claimRefused = row<{ why: string }>('agent.claim_refused', 'unavailable', (p) => `Insufficient compute resources: ${p.why}`);
export const commandTooLate = row<Record<string, never>>(
  'agent.command_too_late',
  'unavailable',
  () => 'The compute agent got to this command after its deadline.',
);
export const deedGivenUp = row<Record<string, never>>(
  'agent.deed_given_up',
  'conflict',
  () => 'It was given up because somebody asked for that.',
);
export const stateDirTaken = row<{ dir: string }>(
  'agent.state_dir_taken',
  'conflict',
  (p) => `Another compute agent uses the state directory ${p.dir}. Stop it first, or give this one a directory of its own.`,
);
export const agentRestarted = row<Record<string, never>>(
  'agent.restarted',
  'unavailable',
  () => 'The compute agent restarted in the middle of this and could not go on.',
);
export const filterFailed = row<{ filter: string; why: string }>(
  'scheduler.filter_failed',
  'internal',
  (p) => `The scheduler filter ${p.filter} failed: ${p.why}`,
);
/** The job's lease is another conductor's now, or the job was overtaken: whoever sees this stops at once and undoes nothing. */
export const leaseLost = row<{ job: string }>('job.lease_lost', 'conflict', (p) => `The job ${p.job} is no longer this conductor's.`);
