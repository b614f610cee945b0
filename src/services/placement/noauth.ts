import type { TokenCheck } from '../../http/app.ts';
import { nobody } from '../../model/caller.ts';

const one = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value);

/** Tokens that nobody checks, for trying the API alone: `USER[:PROJECT]`. `admin` is the admin, anybody else has no roles; the headers `x-roles` and
 *  `openstack-system-scope` are believed.  Spec: placement [api] auth_strategy = noauth2. */
export const noAuth: TokenCheck = async (token, headers = {}) => {
  const [userId = '', project = ''] = token.split(/:(.*)/s, 2);
  const roles = one(headers['x-roles']);
  const system = one(headers['openstack-system-scope']);
  return {
    ...nobody,
    userId,
    userName: userId,
    projectId: one(headers['x-project-id']) ?? (system ? null : project || userId),
    systemScope: system === 'all' ? 'all' : null,
    roles: roles !== undefined ? roles.split(',').map((role) => role.trim()) : userId === 'admin' ? ['admin'] : [],
  };
};
