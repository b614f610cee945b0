import type { Call } from '../../http/call.ts';
import { projectUnknown } from '../../model/errors-compute-api.ts';
import type { ComputeParts } from './parts.ts';

/** Holds a project that a request names against the identity service. Throws projectUnknown (400).  Spec: compute api-ref, quota sets and flavor access. */
export async function mustBeProject(parts: ComputeParts, call: Call<unknown>, projectId: string): Promise<void> {
  if (projectId === call.caller.projectId || parts.isProject === undefined) return;
  if (!(await parts.isProject(projectId, call.token))) throw projectUnknown({ id: projectId.slice(0, 100) });
}
