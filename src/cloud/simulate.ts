import { schedulerDefaults } from '../services/scheduler/options.ts';
import { csvOf, plot } from '../services/scheduler/simulate/plot.ts';
import { type Machine, type Report, simulate } from '../services/scheduler/simulate/simulate.ts';
import { type Arrival, readTrace, synthesize } from '../services/scheduler/simulate/trace.ts';
import { readConfig, readConfigFile } from './config.ts';
import { schedulerOptions } from './part-options.ts';

export interface SimulateOptions {
  readonly hosts: number;
  readonly machine: Machine;
  /** Every second host has half of everything, every fourth a quarter. */
  readonly mixed: boolean;
  readonly seed: number;
  /** Text of a trace; or a synthetic one. */
  readonly trace: string | { readonly servers: number; readonly rate: number | null; readonly lifetime: number };
  /** nova.conf, for filters, weights and ratios. */
  readonly config: string | undefined;
  /** Seconds of virtual time between samples; null: 200 samples in all. */
  readonly every: number | null;
  readonly stopwatch: () => number;
}
export interface Simulated {
  readonly report: Omit<Report, 'samples'>;
  readonly csv: string;
  readonly json: string;
  readonly svg: string;
}

/** Runs the scheduler of this config over a trace on simulated hosts. Throws an Error for a trace that cannot be read. */
export function runSimulation(options: SimulateOptions): Simulated {
  const { settings } = options.config === undefined ? readConfig('') : readConfigFile(options.config);
  const machines = Array.from({ length: options.hosts }, (_, at) =>
    shrunk(options.machine, options.mixed ? (at % 4 === 3 ? 4 : (at % 2) + 1) : 1),
  );
  const ratios = { vcpu: settings.cpuRatio, memory: settings.ramRatio, disk: settings.diskRatio };
  const trace = typeof options.trace === 'string' ? readTrace(options.trace) : synthetic(options, options.trace, machines, ratios.memory);
  const whole = simulate({
    machines,
    ratios,
    options: { ...schedulerDefaults, ...schedulerOptions(settings, 'simulated'), seed: options.seed },
    trace,
    every: options.every ?? Math.max(1, (trace.at(-1)?.at ?? 0) / 200),
    stopwatch: options.stopwatch,
  });
  const { samples, ...report } = whole;
  return { report, csv: csvOf(whole), json: JSON.stringify({ ...report, samples }, null, 1), svg: plot(whole) };
}

const shrunk = ({ vcpus, memoryMiB, diskGiB }: Machine, by: number): Machine => ({
  vcpus: Math.max(1, Math.floor(vcpus / by)),
  memoryMiB: Math.max(1, Math.floor(memoryMiB / by)),
  diskGiB: Math.floor(diskGiB / by),
});

/** Mean memory of the synthetic sizes, MiB: without a rate, servers come so fast that memory fills nine tenths of the hosts. */
const MEAN_MEMORY = 8_500;
function synthetic(
  { seed }: SimulateOptions,
  wish: { readonly servers: number; readonly rate: number | null; readonly lifetime: number },
  machines: readonly Machine[],
  ratio: number,
): Arrival[] {
  const memory = machines.reduce((sum, machine) => sum + machine.memoryMiB * ratio, 0);
  const rate = wish.rate ?? (0.9 * memory) / MEAN_MEMORY / wish.lifetime;
  return synthesize({ seed, servers: wish.servers, rate, lifetime: wish.lifetime });
}
