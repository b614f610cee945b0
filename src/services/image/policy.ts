/** Rules of the image API with their defaults; policy.yaml may replace them by name. Targets have project_id (the image's owner), visibility and
 *  member_id (the caller's project when the image is shared with it).  Spec: Glance's policy reference. */
export const imagePolicy: Readonly<Record<string, string>> = {
  context_is_admin: 'role:admin',
  default: 'rule:context_is_admin',
  add_image: 'rule:context_is_admin or (role:member and project_id:%(project_id)s)',
  delete_image: 'rule:context_is_admin or (role:member and project_id:%(project_id)s)',
  get_image:
    "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s))",
  get_images: 'rule:context_is_admin or (role:reader and project_id:%(project_id)s)',
  modify_image: 'rule:context_is_admin or (role:member and project_id:%(project_id)s)',
  publicize_image: 'role:admin',
  communitize_image: 'rule:context_is_admin or (role:member and project_id:%(project_id)s)',
  download_image:
    "rule:context_is_admin or (role:member and (project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s))",
  upload_image: 'rule:context_is_admin or (role:member and project_id:%(project_id)s)',
  add_member: 'rule:context_is_admin or (role:member and project_id:%(project_id)s)',
  delete_member: 'rule:context_is_admin or (role:member and project_id:%(project_id)s)',
  get_member: 'rule:context_is_admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))',
  get_members: 'rule:context_is_admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))',
  modify_member: 'rule:context_is_admin or (role:member and project_id:%(member_id)s)',
  deactivate: 'rule:context_is_admin or (role:member and project_id:%(project_id)s)',
  reactivate: 'rule:context_is_admin or (role:member and project_id:%(project_id)s)',
  stores_info_detail: 'role:admin',
};
