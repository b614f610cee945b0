import { CloudError } from '../model/errors.ts';
import type { Neighbour } from './neighbour.ts';

/** Whether there is a project of that id, asked of the identity service with the caller's own token. Only a plain "no" is one: whoever may not see
 *  the project, and an identity service that does not answer, are no reason to refuse. */
export type ProjectCheck = (projectId: string, token: string | null) => Promise<boolean>;

/** `identity` is at the service's /v3. */
export const projectCheck =
  (identity: Neighbour): ProjectCheck =>
  async (projectId, token) => {
    try {
      await identity.ask('GET', `/projects/${encodeURIComponent(projectId.slice(0, 255))}`, { token, timeoutMs: 10_000 });
    } catch (cause) {
      return !(cause instanceof CloudError && cause.kind === 'notFound');
    }
    return true;
  };
