import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestActions } from '../../../src/model/guest-actions.ts';
import { type ActionRule, actionRules, goesOn } from '../../../src/model/server-states.ts';
import { noCatalogue } from '../../support/catalogue.ts';
import { catalogue } from '../servers/catalogue.ts';
import { acts } from './acts-table.ts';

interface Facts {
  readonly operation: string;
  readonly requiredVmStates: readonly string[] | 'any' | null;
  readonly requiredTaskStates: readonly (string | null)[] | string;
  readonly lockChecked: boolean;
  readonly hostRequired: boolean;
  readonly mustHaveLaunched: boolean;
  readonly taskStateSequence: readonly (string | null)[];
  readonly resultVmState: string;
  readonly instanceAction: string | null;
  readonly events: readonly string[];
}
const factsOf = async (operation: string): Promise<Facts> => {
  const { actions } = (await catalogue.states()) as { actions: readonly Facts[] };
  const found = actions.find((one) => one.operation === operation);
  assert.ok(found, operation);
  return found;
};

test('each action’s rule, task states, result, record and events are those of the catalogue', { skip: noCatalogue }, async () => {
  for (const act of acts) {
    const facts = await factsOf(act.operation);
    const rule: ActionRule = actionRules[act.rule];
    assert.deepEqual(
      {
        vm: [...(rule.vm ?? [])].sort(),
        task: rule.task,
        lock: rule.lock,
        host: rule.hostNeeded,
        launched: rule.launched,
        tasks: act.tasks,
        result: act.result ?? 'unchanged',
        record: act.record,
        events: act.events,
      },
      {
        vm: [...(facts.requiredVmStates as string[])].sort(),
        task: facts.requiredTaskStates,
        lock: facts.lockChecked,
        host: facts.hostRequired,
        launched: facts.mustHaveLaunched,
        tasks: facts.taskStateSequence,
        // A password is for an active server, which the catalogue counts as a result.
        result: act.name === 'changePassword' ? 'unchanged' : facts.resultVmState,
        record: facts.instanceAction,
        events: facts.events,
      },
      act.name,
    );
    const tasks = act.tasks.filter((task) => task !== null);
    for (const [at, task] of tasks.entries()) if (at > 0) assert.ok(goesOn(tasks[at - 1] ?? null, task), `${act.name}: ${task}`);
  }
});

test('restore and soft delete are those of the catalogue', { skip: noCatalogue }, async () => {
  const restore = await factsOf('server-actions:restore');
  const { action, event, taskState, vmState } = guestActions.restore;
  assert.deepEqual(
    [action, [event], [taskState, null], vmState],
    [restore.instanceAction, restore.events, restore.taskStateSequence, restore.resultVmState],
  );
  const { variants } = (await factsOf('servers:delete')) as Facts & { variants: readonly Facts[] };
  const soft = guestActions['soft-delete'];
  assert.deepEqual(
    [[soft.event], [soft.taskState, null], soft.vmState],
    [variants[0]?.events, variants[0]?.taskStateSequence, variants[0]?.resultVmState],
  );
});
