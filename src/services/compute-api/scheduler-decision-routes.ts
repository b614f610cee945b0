import type { RouteTable } from '../../http/call.ts';
import { dryRun, listSchedulerDecisions, showSchedulerDecision } from './scheduler-decisions.ts';
import type { ServerParts } from './server-parts.ts';
import { decisionListQuery, decisionQuery, dryRunBody } from './shapes/scheduler-decisions.ts';

/** Why servers stand where they do. Kilonova's own; Nova has no such routes. */
export const schedulerDecisionRoutes: RouteTable<ServerParts> = {
  'GET /os-scheduler-decisions': {
    run: listSchedulerDecisions,
    query: decisionListQuery,
    policy: 'project_reader_or_admin',
    policyOn: 'object',
  },
  'GET /os-scheduler-decisions/:id': {
    run: showSchedulerDecision,
    query: decisionQuery,
    policy: 'project_reader_or_admin',
    policyOn: 'object',
  },
  'POST /os-scheduler-decisions/dry-run': { run: dryRun, body: dryRunBody, policy: 'context_is_admin' },
};
