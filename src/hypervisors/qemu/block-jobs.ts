import { setTimeout as pause } from 'node:timers/promises';
import { hypervisorFailed, noDiskSpace } from '../../model/errors-hypervisor.ts';
import type { Qmp } from './qmp.ts';

interface Job {
  readonly id: string;
  readonly status: string;
  readonly 'current-progress': number;
  readonly 'total-progress': number;
  readonly error?: string;
}
/** What a running QEMU is doing to disks under a name of ours; names begin with this, so that a new agent knows them again. */
export const JOB = 'kilonova-';
const jobsOf = async (qmp: Qmp) => ((await qmp.command('query-jobs')) as Job[]).filter((job) => job.id.startsWith(JOB)); // QEMU's own form

/** Waits until a job has come to a state, or to its end. Throws noDiskSpace, hypervisorFailed, the signal's reason. */
export async function jobReaches(
  qmp: Qmp,
  id: string,
  wanted: 'ready' | 'concluded',
  signal: AbortSignal,
  look: (done: number, total: number) => void = () => {},
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const job = (await jobsOf(qmp)).find((one) => one.id === id);
    if (!job) throw hypervisorFailed({ why: `the copy of a disk (${id}) is gone` });
    look(job['current-progress'], job['total-progress']);
    if (job.error !== undefined) {
      const make = /No space left|Disk quota/.test(job.error) ? noDiskSpace : hypervisorFailed;
      throw make({ why: `copying a disk: ${job.error}` });
    }
    if (job.status === wanted) return;
    if (job.status === 'concluded') throw hypervisorFailed({ why: `the copy of a disk (${id}) ended early` });
    await pause(10);
  }
}

/** Ends a job, whatever it does, and forgets it. Safe when it is not there. */
export async function dropJob(qmp: Qmp, id: string): Promise<void> {
  const until = Date.now() + 10_000;
  for (let first = true; Date.now() < until; first = false) {
    const job = (await jobsOf(qmp)).find((one) => one.id === id);
    if (!job) return;
    if (job.status === 'concluded') await qmp.command('job-dismiss', { id }).catch(() => undefined);
    else if (first) await qmp.command('block-job-cancel', { device: id, force: true }).catch(() => undefined);
    if (!first) await pause(10);
  }
  throw hypervisorFailed({ why: `the copy of a disk (${id}) cannot be ended` });
}

/** Ends every job of ours, and takes away the nodes they wrote to. */
export async function dropJobs(qmp: Qmp): Promise<void> {
  for (const job of await jobsOf(qmp)) await dropJob(qmp, job.id);
  const nodes = (await qmp.command('query-named-block-nodes', { flat: true })) as { 'node-name': string }[]; // QEMU's own form
  for (const node of nodes) if (node['node-name'].startsWith(JOB)) await dropNode(qmp, node['node-name']);
}
export const dropNode = (qmp: Qmp, node: string) => qmp.command('blockdev-del', { 'node-name': node }).catch(() => undefined);
