import { compilePolicy, type Policy } from '../../model/policy.ts';

const ADMIN_OR_SERVICE = 'rule:admin_or_service_api';
const adminOrService = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [`placement:${name}`, ADMIN_OR_SERVICE]));

/** Rules of the placement API with their defaults. What `service_api` and its like let in besides, see `placementPolicy`. */
export const placementRules: Readonly<Record<string, string>> = {
  admin_api: 'role:admin',
  service_api: 'role:service',
  admin_or_service_api: 'role:admin or role:service',
  project_reader_api: 'role:reader and project_id:%(project_id)s',
  admin_or_project_reader_or_service_api: 'role:admin or rule:project_reader_api or role:service',
  ...adminOrService(
    'resource_providers:list',
    'resource_providers:create',
    'resource_providers:show',
    'resource_providers:update',
    'resource_providers:delete',
    'resource_classes:list',
    'resource_classes:create',
    'resource_classes:show',
    'resource_classes:update',
    'resource_classes:delete',
    'resource_providers:inventories:list',
    'resource_providers:inventories:create',
    'resource_providers:inventories:show',
    'resource_providers:inventories:update',
    'resource_providers:inventories:delete',
    'resource_providers:aggregates:list',
    'resource_providers:aggregates:update',
    'resource_providers:usages',
    'traits:list',
    'traits:show',
    'traits:update',
    'traits:delete',
    'resource_providers:traits:list',
    'resource_providers:traits:update',
    'resource_providers:traits:delete',
    'resource_providers:allocations:list',
    'allocations:list',
    'allocations:manage',
    'allocations:update',
    'allocations:delete',
    'allocation_candidates:list',
  ),
  'placement:usages': 'rule:admin_or_project_reader_or_service_api',
  'placement:reshaper:reshape': 'rule:service_api',
};
const WITH_OLDER_DEFAULT = ['service_api', 'admin_or_service_api', 'project_reader_api', 'admin_or_project_reader_or_service_api'] as const;

/** The rules with overrides of a policy file. `newDefaultsOnly` ([oslo_policy] enforce_new_defaults): an admin has no part in what is a service's alone;
 *  otherwise the older default, admin, holds besides each new one that the file does not override. System-scoped tokens are out of scope.
 *  Spec: placement policies; oslo.policy, deprecated rules and scope_types. */
export function placementPolicy(
  overrides: Readonly<Record<string, string>> = {},
  more: { newDefaultsOnly?: boolean; anyScope?: boolean } = {},
): Policy {
  const defaults: Record<string, string> = { ...placementRules };
  if (!more.newDefaultsOnly) for (const name of WITH_OLDER_DEFAULT) defaults[name] = `${placementRules[name]} or rule:admin_api`;
  const known = Object.fromEntries(Object.entries(overrides).filter(([name]) => Object.hasOwn(placementRules, name)));
  const policy = compilePolicy(defaults, known);
  return {
    has: policy.has,
    allows: (rule, caller, target) => (more.anyScope || caller.systemScope === null) && policy.allows(rule, caller, target),
  };
}
