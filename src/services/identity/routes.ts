import type { Call, Route, RouteTable } from '../../http/call.ts';
import { applicationCredentialRoutes } from './application-credentials.ts';
import { authRoutes } from './auth-routes.ts';
import { domainRoutes } from './domains.ts';
import { endpointRoutes } from './endpoints.ts';
import { grantRoutes } from './grants.ts';
import { groupRoutes } from './groups.ts';
import type { Parts } from './parts.ts';
import { projectRoutes } from './projects.ts';
import { regionRoutes } from './regions.ts';
import { roleAssignmentRoutes } from './role-assignments.ts';
import { roleRoutes } from './roles.ts';
import { serviceRoutes } from './services.ts';
import { userRoutes } from './users.ts';
import { versionRoutes } from './versions.ts';

/** Every answer depends on the token it was asked with; a cache in between must know. */
const varied = (route: Route<Parts>): Route<Parts> => ({
  ...route,
  run: async (parts, call: Call<never>) => {
    const reply = await route.run(parts, call);
    return { ...reply, headers: { ...reply.headers, vary: 'X-Auth-Token' } };
  },
});

/** All of the Identity API that this service has. */
export const identityRoutes: RouteTable<Parts> = Object.fromEntries(
  Object.entries({
    ...versionRoutes,
    ...authRoutes,
    ...projectRoutes,
    ...userRoutes,
    ...groupRoutes,
    ...domainRoutes,
    ...roleRoutes,
    ...grantRoutes,
    ...roleAssignmentRoutes,
    ...serviceRoutes,
    ...endpointRoutes,
    ...regionRoutes,
    ...applicationCredentialRoutes,
  }).map(([key, route]) => [key, varied(route)]),
);
