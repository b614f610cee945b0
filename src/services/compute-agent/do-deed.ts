import { mustFitContract } from '../../bus/checked.ts';
import { type DeedArgs, type DeedName, guestDeeds } from '../../bus/contracts/guest-deeds.ts';
import { commandTooLate } from '../../model/errors-conductor.ts';
import { guestNotFound } from '../../model/errors-hypervisor.ts';
import type { Deed, DeedAt, DeedDone } from './deeds/deed.ts';
import { deeds } from './deeds/list.ts';

/** Does what a command asks, once its arguments fit and a guest stands here that it may be done to. Throws badMessage, guestNotFound, commandTooLate and
 *  what the deed throws. */
export async function doDeed(at: DeedAt): Promise<DeedDone<DeedName>> {
  const { command, entry, parts } = at;
  const deed = deeds[command.deed] as Deed<DeedName>; // each row of the table is typed by its name
  mustFitContract(guestDeeds[command.deed].args, command.args, 'compute-agent', command.deed);
  if (parts.clock.now() > command.deadline) throw commandTooLate({});
  const guest = entry?.state === 'built' && entry.epoch === command.epoch ? entry.guest : undefined;
  if (!guest && deed.on === 'guest') throw guestNotFound({ uuid: command.uuid });
  // A deed on the host does not look at `guest`.
  return deed.run({ ...at, guest: guest as never }, command.args as DeedArgs<DeedName>);
}
