import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Log, silentLog } from '../lib/log.ts';
import { imagePrograms, installPrograms, setupLog } from './system-programs.ts';

/** The tiny guest image: built once, kept in the data dir. `building` exists while it is made: who waits for the image looks at it. */
export interface TinyImage {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
}
export const buildingMark = (dataDir: string): string => join(dataDir, 'tiny-image.building');

/** Builds it, or takes the one that is there, and hands it to `offer`; says a sentence where it cannot be built. Who waits for the image may look at the mark:
 *  while that stands, the image has not been offered yet. */
export async function keepTinyImage(options: {
  dataDir: string;
  log: Log;
  say: (line: string) => void;
  install: boolean;
  signal: AbortSignal;
  offer: (image: TinyImage) => Promise<void>;
}): Promise<void> {
  const { dataDir, say } = options;
  if (!existsSync('/etc/debian_version')) {
    say('the tiny image is built from Debian packages, and this is not Debian: give any qcow2 with --image FILE');
    return;
  }
  writeFileSync(buildingMark(dataDir), '', { mode: 0o600 });
  try {
    const missing = await installPrograms(imagePrograms, { allowed: options.install, say, logFile: setupLog(dataDir) });
    if (missing.length > 0) {
      say('the tiny image is not built: programs are missing. Give any qcow2 with --image FILE');
      return;
    }
    const { buildTinyImage } = await import('./tiny-image.ts');
    const built = await buildTinyImage({
      outDir: join(dataDir, 'tiny-image'),
      workDir: join(dataDir, 'tiny-image.work'),
      log: options.log,
      signal: options.signal,
    });
    if (!options.signal.aborted) await options.offer(built);
  } catch (cause) {
    if (!options.signal.aborted) {
      options.log.error({ err: cause }, 'the tiny image could not be built');
      say(`the tiny image could not be built: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  } finally {
    rmSync(buildingMark(dataDir), { force: true });
  }
}

/** Builds it for its own sake, showing each step; undefined when programs are missing. */
export async function buildTiny(options: {
  outDir: string;
  install: boolean;
  say: (line: string) => void;
}): Promise<TinyImage | undefined> {
  mkdirSync(options.outDir, { recursive: true });
  const missing = await installPrograms(imagePrograms, {
    allowed: options.install,
    say: options.say,
    logFile: join(options.outDir, 'setup.log'),
  });
  if (missing.length > 0) return undefined;
  const { buildTinyImage } = await import('./tiny-image.ts');
  return buildTinyImage({
    outDir: options.outDir,
    workDir: join(options.outDir, 'work'),
    log: silentLog,
    progress: ({ step, percent }) => options.say(`${String(percent).padStart(3)} %  ${step}`),
    signal: new AbortController().signal,
  });
}
