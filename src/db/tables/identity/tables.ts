import type { Generated } from 'kysely';

interface NamedRow {
  key: Generated<number>;
  /** 32 hex digits; 'default' for the first domain. */
  id: string;
  name: string;
  description: string | null;
  /** 0 or 1 */
  enabled: number;
  /** JSON object: `{ "immutable": true }`. */
  options: string;
  /** JSON object of attributes the service keeps without knowing them (email ...). */
  extra: string;
}
export interface IdentityDomainsTable extends NamedRow {
  /** JSON array of strings. */
  tags: string;
}
export interface IdentityProjectsTable extends NamedRow {
  domain_id: string;
  /** The domain's id for projects at the top. */
  parent_id: string;
  /** JSON array of strings. */
  tags: string;
}
export interface IdentityUsersTable extends NamedRow {
  domain_id: string;
  default_project_id: string | null;
  /** Null: the user has no password and cannot log in by one. */
  password_hash: string | null;
}
export interface IdentityGroupsTable extends NamedRow {
  domain_id: string;
}
export interface IdentityRolesTable extends NamedRow {
  /** '' for roles of no domain. */
  domain_id: string;
}
export interface IdentityServicesTable extends NamedRow {
  type: string;
}
export interface IdentityGroupMembersTable {
  group_id: string;
  user_id: string;
}
export interface IdentityRoleImplicationsTable {
  prior_id: string;
  implied_id: string;
}
export interface IdentityRoleAssignmentsTable {
  actor_type: 'user' | 'group';
  actor_id: string;
  target_type: 'project' | 'domain' | 'system';
  /** 'system' for the system. */
  target_id: string;
  role_id: string;
  /** 1: counts for the projects below the target, not for the target itself. */
  inherited: number;
}
export interface IdentityRegionsTable {
  key: Generated<number>;
  id: string;
  description: string;
  parent_region_id: string | null;
  extra: string;
}
export interface IdentityEndpointsTable {
  key: Generated<number>;
  id: string;
  service_id: string;
  interface: 'public' | 'internal' | 'admin';
  region_id: string | null;
  url: string;
  enabled: number;
  extra: string;
}
export interface IdentityApplicationCredentialsTable {
  key: Generated<number>;
  id: string;
  user_id: string;
  project_id: string;
  name: string;
  description: string | null;
  secret_hash: string;
  /** JSON array of role ids. */
  role_ids: string;
  expires_at: number | null;
  unrestricted: number;
}
export interface IdentityFeedTable {
  id: number;
  /** Number of the last write. */
  number: number;
  /** Revocations up to this number were removed because every token they speak of has expired. */
  pruned_to: number;
}
export interface IdentityRevocationsTable {
  id: Generated<number>;
  number: number;
  revoked_at: number;
  /** Tokens issued at or before this are refused; null: nothing is refused, but what is known of matching tokens (their roles, names) is old. */
  issued_before: number | null;
  audit_id: string | null;
  audit_chain_id: string | null;
  user_id: string | null;
  project_id: string | null;
  domain_id: string | null;
  application_credential_id: string | null;
}
export interface IdentityTokenKeysTable {
  /** SHA-256 of the public key, the `kid` of tokens signed by it. */
  id: string;
  /** PEM. The private one never leaves its process's data dir. */
  public_key: string;
  /** When its owner last said that it uses it. */
  seen_at: number;
}

export interface IdentityTables {
  identity_domains: IdentityDomainsTable;
  identity_projects: IdentityProjectsTable;
  identity_users: IdentityUsersTable;
  identity_groups: IdentityGroupsTable;
  identity_roles: IdentityRolesTable;
  identity_services: IdentityServicesTable;
  identity_group_members: IdentityGroupMembersTable;
  identity_role_implications: IdentityRoleImplicationsTable;
  identity_role_assignments: IdentityRoleAssignmentsTable;
  identity_regions: IdentityRegionsTable;
  identity_endpoints: IdentityEndpointsTable;
  identity_application_credentials: IdentityApplicationCredentialsTable;
  identity_feed: IdentityFeedTable;
  identity_revocations: IdentityRevocationsTable;
  identity_token_keys: IdentityTokenKeysTable;
}
