import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cloud, defaultDataDir, type UpOptions, up } from '../cloud/up.ts';
import { systemClock } from '../lib/clock.ts';
import { demo } from './demo.ts';
import { aborted, interrupted } from './interrupted.ts';

export interface CloudFlags {
  readonly dataDir?: string;
  readonly listen?: string;
  readonly publicUrl?: string;
  readonly port?: number;
  readonly hypervisor?: 'auto' | 'qemu' | 'libvirt' | 'fake';
  readonly hosts?: number;
  readonly config?: string;
  readonly install: boolean;
  readonly image?: string;
  readonly demo?: true;
}

const say = (line: string) => process.stdout.write(line === '' ? '\n' : `kilonova: ${line}\n`);
const upOptions = (flags: CloudFlags): UpOptions => ({
  dataDir: flags.dataDir ?? defaultDataDir(),
  clock: systemClock,
  listen: flags.listen,
  publicUrl: flags.publicUrl,
  port: flags.port,
  hypervisor: flags.hypervisor,
  hosts: flags.hosts,
  config: flags.config,
  install: flags.install,
  image: flags.image,
  say,
});

/** `kilonova up`: runs until it is told to stop, then exits 0. */
export async function upCommand(flags: CloudFlags): Promise<number> {
  const signal = interrupted();
  const cloud = await up(upOptions(flags));
  try {
    if (flags.demo && !signal.aborted) {
      const fine = await demo({ dataDir: cloud.dataDir, clock: systemClock, say, signal, keep: true }).catch((cause) => {
        say(`the demo failed: ${cause instanceof Error ? cause.message : String(cause)}`);
        return false;
      });
      if (fine) say('the cloud runs on; Ctrl-C stops it');
    }
    await aborted(signal);
  } finally {
    await stopWithin(cloud);
  }
  return 0;
}

/** `kilonova demo`: on the running cloud, or on one of its own that ends with it. */
export async function demoCommand(flags: CloudFlags): Promise<number> {
  const signal = interrupted();
  const dataDir = flags.dataDir ?? defaultDataDir();
  if (await isRunning(dataDir)) return (await demo({ dataDir, clock: systemClock, say, signal, keep: true })) ? 0 : 1;
  const cloud = await up(upOptions(flags));
  try {
    return (await demo({ dataDir: cloud.dataDir, clock: systemClock, say, signal, keep: false })) ? 0 : 1;
  } finally {
    await stopWithin(cloud);
  }
}

async function isRunning(dataDir: string): Promise<boolean> {
  const file = join(dataDir, 'endpoint');
  if (!existsSync(file)) return false;
  try {
    return (await fetch(`${readFileSync(file, 'utf8').trim()}/healthz`, { signal: AbortSignal.timeout(3000) })).ok;
  } catch {
    return false;
  }
}

const STOP_MS = 15_000;

/** Stops the cloud; one that does not end in time is left to its journal, which the next start reads anyhow. */
async function stopWithin(cloud: Cloud): Promise<void> {
  const late = systemClock.after(STOP_MS, () => {
    say('some part did not stop in time; nothing is lost by that');
    process.exit(0);
  });
  await cloud.stop();
  late();
}
