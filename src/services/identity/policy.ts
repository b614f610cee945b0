/** Who may do what, in oslo.policy's language: an administrator everything; readers of the whole system look at all; managers and readers of a domain manage and
 *  look at what is in it; everybody at what is his own.  Spec: Keystone "Policy" reference, defaults since 2024.2. */
const admin = 'rule:admin_required';
const systemReader = `${admin} or (role:reader and system_scope:all)`;
const inDomain = (role: 'reader' | 'manager', target: string) => `(role:${role} and domain_id:%(${target})s)`;
const owner = 'user_id:%(target.user.id)s';
const all = (verbs: readonly string[], rule: string) => Object.fromEntries(verbs.map((verb) => [`identity:${verb}`, rule]));

const project = 'target.project.domain_id';
const user = 'target.user.domain_id';
const group = 'target.group.domain_id';
// Lists hold what they show against the domain asked for.
const list = 'target.domain_id';
const grantIn = (role: 'reader' | 'manager') =>
  [user, group]
    .flatMap((actor) =>
      [project, 'target.domain.id'].map((target) => `(role:${role} and domain_id:%(${actor})s and domain_id:%(${target})s)`),
    )
    .join(' or ');

export const identityPolicy: Readonly<Record<string, string>> = {
  admin_required: 'role:admin',
  service_role: 'role:service',
  service_or_admin: 'rule:admin_required or rule:service_role',
  token_subject: 'user_id:%(target.token.user_id)s',
  // What a manager of a domain may hand out; admin is not among it.
  domain_managed_target_role: "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s",

  'identity:validate_token': `rule:service_or_admin or (role:reader and system_scope:all) or rule:token_subject`,
  'identity:check_token': `rule:service_or_admin or (role:reader and system_scope:all) or rule:token_subject`,
  'identity:revoke_token': `${admin} or rule:token_subject`,
  'identity:list_revoke_events': 'rule:service_or_admin',
  ...all(['get_auth_catalog', 'get_auth_projects', 'get_auth_domains', 'get_auth_system'], '@'),

  'identity:get_project': `${systemReader} or ${inDomain('reader', project)} or project_id:%(target.project.id)s`,
  ...all(['list_project_tags', 'get_project_tag'], `${systemReader} or ${inDomain('reader', project)} or project_id:%(target.project.id)s`),
  'identity:list_projects': `${systemReader} or ${inDomain('reader', list)}`,
  'identity:list_user_projects': `${systemReader} or ${inDomain('reader', user)} or ${owner}`,
  ...all(
    [
      'create_project',
      'update_project',
      'delete_project',
      'create_project_tag',
      'update_project_tags',
      'delete_project_tag',
      'delete_project_tags',
    ],
    `${admin} or ${inDomain('manager', project)}`,
  ),

  'identity:get_user': `${systemReader} or ${inDomain('reader', user)} or ${owner}`,
  'identity:list_users': `${systemReader} or ${inDomain('reader', list)}`,
  ...all(['create_user', 'update_user', 'delete_user'], `${admin} or ${inDomain('manager', user)}`),

  'identity:get_group': `${systemReader} or ${inDomain('reader', group)}`,
  'identity:list_groups': `${systemReader} or ${inDomain('reader', list)}`,
  'identity:list_groups_for_user': `${systemReader} or ${inDomain('reader', user)} or ${owner}`,
  'identity:list_users_in_group': `${systemReader} or ${inDomain('reader', group)}`,
  'identity:check_user_in_group': `${systemReader} or (role:reader and domain_id:%(${group})s and domain_id:%(${user})s) or ${owner}`,
  ...all(['create_group', 'update_group', 'delete_group'], `${admin} or ${inDomain('manager', group)}`),
  ...all(
    ['add_user_to_group', 'remove_user_from_group'],
    `${admin} or (role:manager and domain_id:%(${group})s and domain_id:%(${user})s)`,
  ),

  'identity:get_domain': `${systemReader} or (role:reader and domain_id:%(target.domain.id)s) or project_domain_id:%(target.domain.id)s`,
  'identity:list_domains': `${systemReader} or (role:reader and domain_id:%(target.domain.id)s)`,
  ...all(['create_domain', 'update_domain', 'delete_domain'], admin),

  ...all(['get_role', 'list_roles'], `${systemReader} or ${inDomain('manager', list)}`),
  ...all(['create_role', 'update_role', 'delete_role'], admin),
  ...all(['list_implied_roles', 'get_implied_role', 'check_implied_role', 'list_role_inference_rules'], systemReader),
  ...all(['create_implied_role', 'delete_implied_role'], admin),

  ...all(['list_grants', 'check_grant'], `${systemReader} or ${grantIn('reader')}`),
  ...all(['create_grant', 'revoke_grant'], `${admin} or ((${grantIn('manager')}) and rule:domain_managed_target_role)`),
  ...all(
    ['user', 'group'].flatMap((actor) => [`list_system_grants_for_${actor}`, `check_system_grant_for_${actor}`]),
    systemReader,
  ),
  ...all(
    ['user', 'group'].flatMap((actor) => [`create_system_grant_for_${actor}`, `revoke_system_grant_for_${actor}`]),
    admin,
  ),
  'identity:list_role_assignments': `${systemReader} or ${inDomain('reader', list)}`,

  ...all(['list_services', 'get_service', 'list_endpoints', 'get_endpoint'], systemReader),
  ...all(['create_service', 'update_service', 'delete_service', 'create_endpoint', 'update_endpoint', 'delete_endpoint'], admin),
  ...all(['list_regions', 'get_region'], '@'),
  ...all(['create_region', 'update_region', 'delete_region'], admin),

  ...all(['list_application_credentials', 'get_application_credential', 'list_access_rules'], `${systemReader} or ${owner}`),
  'identity:create_application_credential': owner,
  'identity:delete_application_credential': `${admin} or ${owner}`,
};
