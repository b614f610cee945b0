import { type Filter, no, ok } from '../filter.ts';

const disabled = no('the compute service is disabled');
const down = no('the compute service is down');

/** Only hosts whose service is enabled and alive; one that never reported counts from when it was made.  Spec: Nova's ComputeFilter. */
export const ComputeFilter: Filter = {
  name: 'ComputeFilter',
  oncePerRequest: true,
  judge(host, ask) {
    if (host.disabled) return disabled;
    if (host.forcedDown) return down;
    const seen = host.lastSeenAt ?? host.serviceCreatedAt;
    if (Number.isNaN(seen)) throw new Error('the last report of the compute service has no time that can be read');
    return seen !== null && Math.abs(ask.now - seen) <= ask.options.serviceDownTime * 1_000_000 ? ok : down;
  },
};
