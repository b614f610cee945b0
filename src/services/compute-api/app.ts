import { type App, createApp, type TokenCheck } from '../../http/app.ts';
import type { RouteTable } from '../../http/call.ts';
import type { Log } from '../../lib/log.ts';
import { foreignProject } from '../../model/errors-compute-api.ts';
import { compilePolicy } from '../../model/policy.ts';
import { computePolicyRules } from '../../model/policy-rules.ts';
import { actRoutes } from './act-routes.ts';
import type { AdminParts } from './admin-parts.ts';
import { adminRoutes } from './admin-routes.ts';
import { computeDialect } from './dialect.ts';
import { computeMicroversions } from './microversions.ts';
import type { MiscParts } from './misc-parts.ts';
import { miscRoutes } from './misc-routes.ts';
import { moveRoutes } from './move-routes.ts';
import { networkRoutes } from './network-routes.ts';
import type { NetworkingParts } from './networking.ts';
import type { ComputeParts } from './parts.ts';
import { routes } from './routes.ts';
import { schedulerDecisionRoutes } from './scheduler-decision-routes.ts';
import type { ServerParts } from './server-parts.ts';
import { serverRoutes } from './server-routes.ts';
import { volumeRoutes, volumesBootRoutes } from './volume-routes.ts';

/** What the compute API needs to run. */
export type ComputeApiParts = ComputeParts & ServerParts & NetworkingParts & AdminParts & MiscParts;

const named: RouteTable<ComputeApiParts> = {
  ...routes,
  ...adminRoutes,
  ...serverRoutes,
  ...networkRoutes,
  ...moveRoutes,
  ...actRoutes,
  ...volumeRoutes,
  ...schedulerDecisionRoutes,
  ...miscRoutes,
};
/** Every route of the API.  Spec: compute api-ref. */
export const computeRoutes: RouteTable<ComputeApiParts> = { ...named, ...volumesBootRoutes(named) };

/** Nova's project_id_regex: a project's id in the URL; what does not look like one is no route. */
const PROJECT = '/:project_id(^[0-9a-f-]+$)';
/** oslo's max_request_body_size, in bytes. */
export const BODY_LIMIT = 114_688;

export interface ComputeApiOptions {
  readonly parts: ComputeApiParts;
  readonly checkToken: TokenCheck;
  /** Rules of policy.yaml, see readPolicyFile. */
  readonly policyOverrides?: Readonly<Record<string, string>>;
  readonly log: Log;
  /** `http://host:port` in links; what the client named when absent. */
  readonly publicUrl?: string | undefined;
  /** Where clients get tokens, named in 401 answers; a function of the origin when not known in advance. */
  readonly identityUrl: string | ((origin: string) => string);
}

/** The compute API under /v2.1 and, without microversions, under /v2. Throws an Error for policy rules that cannot be read. */
export function createComputeApp(options: ComputeApiOptions): Promise<App> {
  return createApp<ComputeApiParts>({
    name: 'compute',
    mounts: ['/v2.1', '/v2'],
    legacyMounts: ['/v2'],
    routes: computeRoutes,
    parts: options.parts,
    policy: compilePolicy(computePolicyRules, options.policyOverrides),
    checkToken: options.checkToken,
    dialect: computeDialect(options.identityUrl),
    log: options.log,
    microversions: computeMicroversions,
    exactPaths: true,
    bodyLimit: BODY_LIMIT,
    optionalPrefix: PROJECT,
    checkPrefix: ({ project_id }, caller) => {
      if (project_id !== undefined && project_id !== caller.projectId) throw foreignProject({ url: project_id, token: caller.projectId });
    },
    publicUrl: options.publicUrl,
    slashedRoot: true,
    contentTypes: ['application/json', 'application/vnd.openstack.compute+json', 'text/plain'],
  });
}
