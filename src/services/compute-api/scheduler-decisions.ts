import { type HostRequest, schedulerContract } from '../../bus/contracts/scheduler.ts';
import { type Decision, findDecision, listDecisions } from '../../db/tables/compute/decisions.ts';
import { readGroup } from '../../db/tables/compute/groups.ts';
import { findServerEvenGone } from '../../db/tables/compute/servers.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { isUuid, newUuid } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { serverNotFound } from '../../model/errors-compute.ts';
import { decisionNotFound, schedulerUnreachable } from '../../model/errors-decisions.ts';
import { amountsOf, flavorAsked } from '../../model/resources.ts';
import { isAdmin } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { wishedFlavor, wishedHints, wishedImage } from './server-wish.ts';
import type { DryRunBody } from './shapes/scheduler-decisions.ts';
import { adviceView, decisionView, tableView, trialView } from './views/scheduler-decisions.ts';

/** So many hosts of a table are answered without `limit`. */
const TABLE = 1000;
/** With several schedulers the one that decided may not be the first to answer. */
const TRIES = 3;

/** GET /os-scheduler-decisions?server_id=: what was decided about a server, newest first; its owner sees no hosts. Kilonova's own.
 *  Throws invalidInput (400), serverNotFound (404). */
export async function listSchedulerDecisions({ db, maxLimit = 1000 }: ServerParts, call: Call): Promise<Reply> {
  const id = one(call, 'server_id');
  if (id === undefined) throw invalidInput({ why: 'server_id is missing: decisions are listed by server.' });
  const server = isUuid(id) ? await findServerEvenGone(db.read, id.toLowerCase()) : undefined;
  if (!server || (server.projectId !== call.caller.projectId && !isAdmin(call))) throw serverNotFound({ id });
  call.allow({ project_id: server.projectId, user_id: server.userId });
  const limit = Math.min(maxLimit, Number(one(call, 'limit') ?? maxLimit));
  const decisions = limit === 0 ? [] : await listDecisions(db.read, server.uuid, limit);
  return { status: 200, body: { scheduler_decisions: decisions.map((decision) => decisionView(decision, isAdmin(call))) } };
}

/** GET /os-scheduler-decisions/{id}: for operators with the table of all hosts, made again on the hosts as they were, or word that they are past what
 *  the schedulers keep.  Throws decisionNotFound (404), also for other projects' ones. */
export async function showSchedulerDecision(parts: ServerParts, call: Call): Promise<Reply> {
  const id = call.params.id ?? '';
  const decision = isUuid(id) ? await findDecision(parts.db.read, id.toLowerCase()) : undefined;
  if (!decision || (decision.projectId !== call.caller.projectId && !isAdmin(call))) throw decisionNotFound({ id });
  call.allow({ project_id: decision.projectId });
  const view = decisionView(decision, isAdmin(call));
  if (!isAdmin(call)) return { status: 200, body: { scheduler_decision: view } };
  const limit = Number(one(call, 'limit') ?? TABLE);
  const again = await askAgain(parts, decision, Math.max(1, limit));
  const more = again.table
    ? { table: tableView(again.table), table_state: 'replayed', advice: again.advice && adviceView(again.advice) }
    : { table: null, table_state: 'past retention', advice: null };
  return { status: 200, body: { scheduler_decision: { ...view, ...more } } };
}

async function askAgain({ bus }: ServerParts, decision: Decision, limit: number) {
  if (!bus.ask) throw schedulerUnreachable({});
  const input = {
    request: decision.request as unknown as HostRequest, // as the conductor sent it, see insertDecision
    seed: decision.seed,
    configHash: decision.configHash,
    chosen: decision.chosen.map(({ host, weight }) => ({ host, weight })),
    filters: decision.reasons.filters.map(({ name, before, after }) => ({ name, before, after })),
    limit,
  };
  for (let tries = 1; ; tries++) {
    const answer = await bus.ask(schedulerContract, 'explainDecision', input);
    if (answer.table || tries === TRIES) return answer;
  }
}

/** POST /os-scheduler-decisions/dry-run: where servers like this would go now; if nowhere, the smallest change that would fit. Nothing is kept.
 *  Throws the 400s of flavor, image and hints as a create does. */
export async function dryRun(parts: ServerParts, call: Call<DryRunBody>): Promise<Reply> {
  const { db, bus } = parts;
  if (!bus.ask) throw schedulerUnreachable({});
  const wish = call.body;
  const flavor = await wishedFlavor(db.read, call, wish.flavor);
  const asker = {
    token: call.token,
    projectId: call.caller.projectId ?? '',
    userId: call.caller.userId,
    requestId: call.requestId,
  };
  const image = wish.image ? await wishedImage(parts.images, call, asker, wish.image, flavor) : null;
  const { hints, groupUuid } = await hintsOf(parts, call);
  const group = groupUuid === null ? undefined : await readGroup(db.read, groupUuid);
  const request: HostRequest = {
    serverUuid: newUuid(),
    projectId: asker.projectId,
    amounts: amountsOf(flavor),
    flavor: flavorAsked(flavor),
    image: image && { id: image.id, diskFormat: image.diskFormat },
    extraSpecs: flavor.extraSpecs,
    imageProperties: image?.properties ?? {},
    availabilityZone: wish.availability_zone ?? null,
    forcedHost: null,
    forcedNode: null,
    requestedHost: wish.host ?? null,
    requestedHypervisor: wish.hypervisor_hostname ?? null,
    excludedHosts: [],
    group: group ? { uuid: group.uuid, policy: group.policy, maxPerHost: group.maxPerHost, hosts: { ...group.hosts } } : null,
    schedulerHints: { ...hints },
    rebuild: false,
    limit: 5,
  };
  const { count = 1, limit = TABLE } = wish;
  const { answers, table, advice } = await bus.ask(schedulerContract, 'dryRun', { request, count, limit });
  return {
    status: 200,
    body: {
      dry_run: {
        fits: advice === null,
        servers: answers.map(({ hosts, reasons }) => trialView(hosts, reasons)),
        table: tableView(table),
        advice: advice && adviceView(advice),
      },
    },
  };
}

const hintsOf = ({ db }: ServerParts, call: Call<DryRunBody>) =>
  // Only the hints of a create's body are read.
  wishedHints(db, call, { 'os:scheduler_hints': call.body.hints ?? {} } as unknown as Parameters<typeof wishedHints>[2]);
