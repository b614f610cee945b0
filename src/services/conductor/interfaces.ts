import type { DeedArgs } from '../../bus/contracts/guest-deeds.ts';
import type { Database, Query } from '../../db/engine.ts';
import { forUpdate } from '../../db/statements.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import { CloudError } from '../../model/errors.ts';
import { hostDown } from '../../model/errors-conductor.ts';
import type { JobKind } from '../../model/jobs.ts';
import type { NetworkInfo } from '../../model/server.ts';
import { askDeed } from './deed-step.ts';
import { closeAction } from './outcome.ts';
import { type JobSpec, leaves, type Run, type Step } from './run-job.ts';

const PLUG = 'plug';
const UNPLUG = 'unplug';
type Attach = Run<'attach-interface'>;

/** Ports of a build are numbered from 0; those plugged in later are known by their job, in the order of time. Ids of jobs are used again: not those. */
const placeOf = (job: Attach['job']) => ({ index: job.createdAt, key: job.uuid });
/** What the port's step left behind. */
const portOf = (run: Attach) => run.progress.notes.port as NetworkInfo | undefined;

/** One more port for a server: made (or taken up), then plugged into its guest. When that fails the port is given back. */
export const attachInterface: JobSpec<'attach-interface'> = {
  get steps() {
    return [port, plug];
  },
  async finish(run) {
    await end(run, (ports) => {
      const made = portOf(run);
      return made ? [...ports.filter((one) => one.portId !== made.portId), made] : ports;
    });
  },
  fail: failed,
};

const port: Step<'attach-interface'> = {
  name: 'port',
  async do(run) {
    const { parts, job, server } = run;
    if (server.host === null) throw hostDown({ host: '' });
    const { uuid: serverUuid, projectId, host, hostname } = server;
    const zone = server.availabilityZone;
    const wish = { serverUuid, projectId, host, hostname, zone, securityGroups: [] };
    const made = await parts.network.attach(wish, job.input.wish, placeOf(job));
    run.point('port', 'middle');
    await run.commit(async () => ({ marks: { port: 'finished' }, notes: { port: made } }));
    return 'finished';
  },
  async undo({ parts, job, server, progress }) {
    const made = progress.notes.port as NetworkInfo | undefined; // written above
    const id = made?.portId ?? job.input.wish.portId;
    if (id !== null) await parts.network.detach(server.uuid, id);
    else {
      // We died before we knew which: asked again, the network answers the one that was made, if any, and it can go.
      const { uuid: serverUuid, projectId, host, hostname, availabilityZone: zone } = server;
      const wish = { serverUuid, projectId, host: host ?? '', hostname, zone, securityGroups: [] };
      const again = await parts.network.attach(wish, job.input.wish, placeOf(job)).catch((cause) => {
        if (!(cause instanceof CloudError) || cause.kind === 'unavailable') throw cause;
        return undefined; // it was refused then too
      });
      if (again) await parts.network.detach(server.uuid, again.portId);
    }
    return undefined;
  },
};

/** The same, of types that a message may have. */
const copyOf = (network: NetworkInfo): DeedArgs<'attachNic'>['network'] => ({
  ...network,
  addresses: [...network.addresses],
  nameServers: [...network.nameServers],
  securityGroups: [...network.securityGroups],
});

const plug: Step<'attach-interface'> = {
  name: PLUG,
  atomic: true,
  async do(run) {
    const network = portOf(run);
    if (!network) throw hostDown({ host: run.server.host ?? '' });
    const said = await askDeed(run, {
      step: PLUG,
      deed: 'attachNic',
      args: { network: copyOf(network) },
      event: 'compute_attach_interface',
    });
    return said === 'waiting' ? said : 'finished';
  },
  async undo(run) {
    const made = portOf(run);
    if (!made || run.server.host === null) return undefined;
    // The guest may have got it although nobody heard so. A host that does not answer keeps a card without a port, which its next start drops.
    try {
      const ask = { step: 'unplug-again', deed: 'detachNic', args: { portId: made.portId }, unmarked: true } as const;
      return (await askDeed(run, ask)) === 'waiting' ? 'waiting' : undefined;
    } catch (cause) {
      if (leaves(cause)) throw cause;
      return undefined;
    }
  },
};

/** Takes a port out of the guest, then gives it back. */
export const detachInterface: JobSpec<'detach-interface'> = {
  get steps() {
    return [unplug, giveBack];
  },
  finish: (run) => end(run, (ports) => ports.filter((one) => one.portId !== run.job.input.portId)),
  fail: failed,
};

const unplug: Step<'detach-interface'> = {
  name: UNPLUG,
  atomic: true,
  async do(run) {
    const { portId } = run.job.input;
    const said = await askDeed(run, { step: UNPLUG, deed: 'detachNic', args: { portId }, event: 'compute_detach_interface' });
    return said === 'waiting' ? said : 'finished';
  },
};
const giveBack: Step<'detach-interface'> = {
  name: 'give-back',
  async do({ parts, job, server }) {
    await parts.network.detach(server.uuid, job.input.portId);
    return 'finished';
  },
};

/** Writes the server's ports and ends the job. The row is read in the same transaction: addresses may have changed while the guest was asked. */
async function end<K extends JobKind>(run: Run<K>, alter: (ports: readonly NetworkInfo[]) => readonly NetworkInfo[]): Promise<void> {
  const at = run.parts.clock.now();
  await run.commit(async (tx) => {
    const ports = alter(await portsNow(tx, run.parts.db.kind, run.server.uuid));
    await setServer(tx, run.server, { network_info: JSON.stringify(ports) }, { what: 'interfaces', at });
    await closeAction(tx, run.job, { at, error: null });
    return { to: 'done' };
  });
}

/** The row is ours until the end of the transaction: somebody may be reading its addresses anew. */
async function portsNow(tx: Query, kind: Database['kind'], uuid: string): Promise<readonly NetworkInfo[]> {
  const row = await forUpdate(kind, tx.selectFrom('servers').select('network_info').where('uuid', '=', uuid)).executeTakeFirst();
  return JSON.parse(row?.network_info ?? '[]') as NetworkInfo[]; // rows hold what was written as such
}

/** Nothing of the server changed; the action and the job say why. */
async function failed<K extends JobKind>(run: Run<K>, cause: CloudError): Promise<void> {
  await run.commit(async (tx) => {
    await closeAction(tx, run.job, { at: run.parts.clock.now(), error: cause.message });
    return { to: 'failed' };
  });
}
