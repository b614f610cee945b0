import type { Call, Reply } from '../../http/call.ts';
import { type GuestActionName, guestActions } from '../../model/guest-actions.ts';
import type { Server } from '../../model/server.ts';
import type { Action } from '../../model/server-states.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { beginTask, mustAllow } from './server-tasks.ts';

/** os-start.  Spec: compute api-ref "Start Server". */
export const startServer = (parts: ServerParts, call: Call) => actOn(parts, call, { rule: 'start', action: 'start' });

/** os-stop.  Spec: compute api-ref "Stop Server". */
export const stopServer = (parts: ServerParts, call: Call) => actOn(parts, call, { rule: 'stop', action: 'stop' });

/** reboot, by the guest itself or hard.  Spec: compute api-ref "Reboot Server". */
export const rebootServer = (parts: ServerParts, call: Call<{ reboot: { type: string } }>) =>
  call.body.reboot.type.toUpperCase() === 'HARD'
    ? actOn(parts, call, { rule: 'rebootHard', action: 'reboot-hard', args: { how: 'hard' } })
    : actOn(parts, call, { rule: 'rebootSoft', action: 'reboot-soft', args: { how: 'soft' } });

export interface Act {
  readonly rule: Action;
  readonly action: GuestActionName;
  /** What the deed is given (its shape is in `guestDeeds`). */
  readonly args?: Readonly<Record<string, unknown>>;
}

/** Accepts an action that is one deed to the guest: state rules, task state, instance action and job in one transaction. */
export async function actOn(parts: ServerParts, call: Call, act: Act, found?: Server): Promise<Reply> {
  const { action: actionName, taskState } = guestActions[act.action];
  const seen = found ?? (await serverOf(parts.db.read, call));
  await beginTask(parts, call, seen, (server) => {
    mustAllow(act.rule, actionName, server, call);
    const input = { serverUuid: server.uuid, action: act.action, args: act.args ?? {}, vmStateBefore: server.vmState };
    return { taskState, actionName, kind: 'act-on-server', input };
  });
  return { status: 202 };
}
