import type { BuildCommand } from '../../../bus/contracts/compute-agent.ts';
import type { AgentReport } from '../../../bus/contracts/conductor.ts';
import { preserveEphemeralUnsupported } from '../../../model/errors-acts.ts';
import { claimRefused } from '../../../model/errors-conductor.ts';
import { buildGuest, commandAmounts, plainNetwork } from '../build-guest.ts';
import { fetchTold } from '../byte-progress.ts';
import { createPhases } from '../phases.ts';
import type { Deed } from './deed.ts';

/** A new guest in the old one's place. Its image is fetched first: when that fails the old guest stands untouched. */
export const rebuild: Deed<'rebuild'> = {
  on: 'host',
  async run({ parts, command, tracker, signal, told, moved }, { preserveEphemeral, ports, ...build }) {
    const { driver } = parts;
    if (preserveEphemeral && build.guest.ephemeralGiB > 0) throw preserveEphemeralUnsupported({});
    const { jobUuid, uuid, epoch, deadline } = command;
    const whole: BuildCommand = { jobUuid, uuid, epoch, deadline, ...build };
    const ref = build.guest.image;
    const first = createPhases(parts.clock);
    const details = ({ cached }: { readonly cached: boolean }) => (cached ? 'cached' : 'fetched');
    if (ref) await first.run('download', () => fetchTold(parts, ref, signal, moved), details);
    const amounts = commandAmounts(whole);
    const short = tracker.claim(uuid, amounts);
    if (short !== null) throw claimRefused({ why: short });
    await driver.destroy(uuid);
    await parts.relay?.close(uuid);
    await driver.removeDisks(uuid);
    const phases: AgentReport['phases'] = [...first.done];
    const made = await buildGuest(
      parts,
      whole,
      signal,
      phases,
      (state) => told(`rebuild_${state}`),
      () => {},
      moved,
      ports,
    );
    const networkInfo = made.networks.map(plainNetwork);
    return { result: {}, power: 'running', networkInfo, phases, guest: made.guest, entry: { state: 'built', epoch, amounts } };
  },
};
