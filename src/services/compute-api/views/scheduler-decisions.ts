import type { Advice, DecisionReasons, DecisionTable } from '../../../bus/contracts/scheduler.ts';
import type { Decision } from '../../../db/tables/compute/decisions.ts';
import { isoMicros } from '../../../lib/clock.ts';

/** Counts per filter, the nearest miss and the smallest change; hosts are named to operators only. */
const reasonsView = ({ seen, filters, nearestMiss, smallestChange }: Decision['reasons'] | DecisionReasons, names: boolean) => ({
  hosts_seen: seen,
  filters: filters.map(({ name, before, after, reasons }) => ({ name, before, after, reasons })),
  nearest_miss: nearestMiss && (names ? nearestMiss : { why: nearestMiss.why }),
  smallest_change: smallestChange,
});

/** A decision. `names`: for operators, who see hosts, weights and what the decision can be made again from. */
export const decisionView = (decision: Decision, names: boolean) => ({
  id: decision.uuid,
  server_id: decision.serverUuid,
  project_id: decision.projectId,
  request_id: decision.requestId,
  attempt: decision.attempt,
  decided_at: isoMicros(decision.at),
  placed: decision.chosen.length > 0,
  ...reasonsView(decision.reasons, names),
  ...(names
    ? {
        chosen: decision.chosen.map(({ host, weight }) => ({ host, weight })),
        request: decision.request,
        config_hash: decision.configHash,
        feed_position: decision.feedPosition,
        seed: decision.seed,
      }
    : {}),
});

export const tableView = (table: DecisionTable) => ({
  hosts_seen: table.seen,
  hosts_passed: table.passed,
  ranked: table.ranked.map(({ host, weight, weighers }, at) => ({ order: at + 1, host, weight, weighers })),
  refused: table.refused,
});
export const adviceView = (advice: Advice) => ({
  text: advice.text,
  request: advice.request,
  host: advice.host,
  add_host: advice.add && {
    amounts: advice.add.amounts,
    availability_zone: advice.add.zone,
    traits: advice.add.traits,
    aggregate_metadata: advice.add.aggregate,
    isolated: advice.add.isolated,
  },
});
export const trialView = (hosts: readonly { host: string; node: string; weight: number }[], reasons: DecisionReasons) => ({
  host: hosts[0]?.host ?? null,
  alternates: hosts.slice(1).map(({ host, weight }) => ({ host, weight })),
  weight: hosts[0]?.weight ?? null,
  ...reasonsView(reasons, true),
});
