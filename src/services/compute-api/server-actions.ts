import type { Call, Reply } from '../../http/call.ts';
import type { PowerServerInput } from '../../model/jobs.ts';
import type { Action } from '../../model/server-states.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { beginTask, mustAllow } from './server-tasks.ts';

/** os-start.  Spec: compute api-ref "Start Server". */
export const startServer = (parts: ServerParts, call: Call) =>
  power(parts, call, { rule: 'start', word: 'start', taskState: 'powering-on', action: 'start' });

/** os-stop.  Spec: compute api-ref "Stop Server". */
export const stopServer = (parts: ServerParts, call: Call) =>
  power(parts, call, { rule: 'stop', word: 'stop', taskState: 'powering-off', action: 'stop' });

/** reboot, by the guest itself or hard.  Spec: compute api-ref "Reboot Server". */
export const rebootServer = (parts: ServerParts, call: Call<{ reboot: { type: string } }>) =>
  call.body.reboot.type.toUpperCase() === 'HARD'
    ? power(parts, call, { rule: 'rebootHard', word: 'reboot', taskState: 'rebooting_hard', action: 'reboot-hard' })
    : power(parts, call, { rule: 'rebootSoft', word: 'reboot', taskState: 'rebooting', action: 'reboot-soft' });

interface Power {
  readonly rule: Action;
  /** Nova's name, for sentences and for the action row. */
  readonly word: string;
  readonly taskState: string;
  readonly action: PowerServerInput['action'];
}

async function power(parts: ServerParts, call: Call, { rule, word, taskState, action }: Power): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  await beginTask(parts, call, seen, (server) => {
    mustAllow(rule, word, server, call);
    return { taskState, actionName: word, kind: 'power-server', input: { serverUuid: server.uuid, action, vmStateBefore: server.vmState } };
  });
  return { status: 202 };
}
