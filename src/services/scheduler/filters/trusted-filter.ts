import { type Filter, no, ok } from '../filter.ts';

const ISO = /^\d{4}(-?\d\d(-?\d\d)?)?([T ]\d\d(:?\d\d(:?\d\d([.,]\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?$/;
const C_LOCALE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} \d\d:\d\d:\d\d \d{4}$/;

/** Hosts that the attestation service gives the level of `trust:trusted_host`; one it says nothing of, or at no time that can be read, is 'unknown'.
 *  Without such a service the host's own attribute `trust_lvl` counts.  Spec: Nova's TrustedFilter of old. */
export const TrustedFilter: Filter = {
  name: 'TrustedFilter',
  oncePerRequest: true,
  judge(host, { wish, attestations }) {
    const wanted = wish.extraSpecs?.['trust:trusted_host'];
    if (!wanted) return ok;
    if (!attestations) return host.stats?.trust_lvl === wanted ? ok : no(`it does not report itself as ${wanted}`);
    const found = attestations.findLast((one) => one.host === host.node);
    const level = found && (ISO.test(found.at) || C_LOCALE.test(found.at)) ? found.level : 'unknown';
    return level === wanted ? ok : no(`it is not attested as ${wanted}`);
  },
};
