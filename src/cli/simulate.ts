import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runSimulation } from '../cloud/simulate.ts';

export interface SimulateFlags {
  readonly hosts: number;
  readonly trace?: string;
  readonly synthetic?: true;
  readonly servers: number;
  readonly rate?: number;
  readonly lifetime: number;
  readonly hostVcpus: number;
  readonly hostMemory: number;
  readonly hostDisk: number;
  readonly mixed?: true;
  readonly seed: number;
  readonly every?: number;
  readonly config?: string;
  readonly out?: string;
  readonly json?: true;
}

/** `kilonova simulate`: the scheduler over a trace on simulated hosts, in virtual time. Prints what came of it; with --out also writes samples as CSV,
 *  everything as JSON and a picture. */
export async function simulateCommand(flags: SimulateFlags): Promise<number> {
  const say = (line: string) => process.stdout.write(`${line}\n`);
  if ((flags.trace === undefined) === (flags.synthetic === undefined)) {
    process.stderr.write('kilonova: name a trace with --trace FILE, or have one made up with --synthetic\n');
    return 2;
  }
  const { report, csv, json, svg } = runSimulation({
    hosts: flags.hosts,
    machine: { vcpus: flags.hostVcpus, memoryMiB: flags.hostMemory, diskGiB: flags.hostDisk },
    mixed: flags.mixed ?? false,
    seed: flags.seed,
    trace:
      flags.trace === undefined
        ? { servers: flags.servers, rate: flags.rate ?? null, lifetime: flags.lifetime }
        : readFileSync(flags.trace, 'utf8'),
    config: flags.config,
    every: flags.every ?? null,
    stopwatch: () => performance.now(),
  });
  if (flags.out !== undefined) {
    mkdirSync(flags.out, { recursive: true });
    writeFileSync(join(flags.out, 'samples.csv'), csv);
    writeFileSync(join(flags.out, 'report.json'), json);
    writeFileSync(join(flags.out, 'utilisation.svg'), svg);
  }
  if (flags.json) {
    say(JSON.stringify(report));
    return 0;
  }
  const percent = (part: number) => `${(part * 100).toFixed(1)} %`;
  say(
    `${report.hosts} hosts, ${report.asked} servers asked for in ${(report.virtualSeconds / 3600).toFixed(1)} h of virtual time, seed ${flags.seed}`,
  );
  say(`placed ${report.placed}, refused ${report.refused}; ${report.refusedByFragmentation} of these for want of room in one place only`);
  for (const { filter, why, count } of report.causes) say(`  ${String(count).padStart(7)}  ${filter}: ${why}`);
  say(`${Math.round(report.decisionsPerSecond)} decisions a second`);
  say('of the capacity      used   bound   stranded    peak  (means over the time)');
  for (const [name, words] of Object.entries({ VCPU: 'CPUs', MEMORY_MB: 'memory', DISK_GB: 'disk' }) as [
    'VCPU' | 'MEMORY_MB' | 'DISK_GB',
    string,
  ][]) {
    const cells = [report.used, report.bound, report.stranded, report.peak].map((of) => percent(of[name]).padStart(8));
    say(`  ${words.padEnd(12)} ${cells.join(' ')}`);
  }
  if (flags.out !== undefined) say(`written to ${flags.out}: samples.csv, report.json, utilisation.svg`);
  return 0;
}
