import type { HostAnswer, HostRequest } from '../../bus/contracts/scheduler.ts';
import type { Query } from '../../db/engine.ts';
import { insertDecision } from '../../db/tables/compute/decisions.ts';
import { newUuid } from '../../lib/ids.ts';
import { flavorAsked } from '../../model/resources.ts';
import type { Server } from '../../model/server.ts';
import type { Run } from './run-job.ts';

/** What the scheduler is told of flavor and image beside amounts and properties. */
export const asked = ({ flavor, image }: Pick<Server, 'flavor' | 'image'>): Pick<HostRequest, 'flavor' | 'image'> => ({
  flavor: flavorAsked(flavor),
  image: image && { id: image.id, diskFormat: image.diskFormat },
});

/** Keeps what a scheduler answered, for those who ask why. */
export const decide = ({ job, parts, server }: Run, tx: Query, request: HostRequest, answer: HostAnswer, attempt: number) =>
  insertDecision(tx, {
    uuid: newUuid(),
    requestId: job.context.requestId,
    projectId: server.projectId,
    serverUuid: server.uuid,
    attempt,
    at: parts.clock.now(),
    request,
    configHash: answer.configHash,
    feedPosition: answer.feedPosition,
    seed: answer.seed,
    chosen: answer.hosts,
    reasons: answer.reasons,
  });
