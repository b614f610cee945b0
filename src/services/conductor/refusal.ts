import type { DecisionReasons } from '../../bus/contracts/scheduler.ts';

/** Why nothing fits, for the tenant: counts per filter and what would fit, no host's name. Begins as Nova's text does, for those who match on it. */
export function explainRefusal(reasons: DecisionReasons, lastFailure: string | null): string {
  const parts = ['There are not enough hosts available.'];
  if (reasons.seen === 0) parts.push('No compute host has registered with this cloud yet.');
  else {
    const cuts = reasons.filters.filter((filter) => filter.after < filter.before);
    parts.push(`${hosts(reasons.seen)} looked at; ${cuts.map(cutText).join('; ')}.`);
  }
  if (reasons.smallestChange) parts.push(reasons.smallestChange);
  if (lastFailure) parts.push(`The last attempt failed: ${lastFailure}`);
  return parts.join(' ');
}

const hosts = (count: number) => (count === 1 ? '1 host was' : `${count} hosts were`);
const cutText = (filter: DecisionReasons['filters'][number]) => {
  const whys = filter.reasons.map((one) => (filter.before === 1 ? one.why : `${one.hosts}: ${one.why}`)).join(', ');
  return `${filter.name} left ${filter.after} of ${filter.before}${whys ? ` (${whys})` : ''}`;
};
