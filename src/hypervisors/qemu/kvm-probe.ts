import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kvmProbeRom } from './kvm-probe.rom.ts';
import { findProgram } from './programs.ts';

export interface KvmVerdict {
  readonly usable: boolean;
  /** For the log and the operator: why not, or 'the probe guest ran'. */
  readonly why: string;
  /** It ran out of time: a busy host may be to blame, so it is asked again at the next start. */
  readonly late?: true;
}
const GOOD_EXIT = 99;

/** Whether KVM really runs guests here: /dev/kvm may be there and yet be a nested one that cannot run a kernel. A tiny guest proves
 *  it within `capMs`; anything but its good exit means no. `accel: 'tcg'` is the control: it must pass everywhere. */
export async function probeKvm(options: { accel?: 'kvm' | 'tcg'; capMs?: number; device?: string } = {}): Promise<KvmVerdict> {
  const { accel = 'kvm', capMs = 1500, device = '/dev/kvm' } = options;
  if (accel === 'kvm') {
    try {
      accessSync(device, constants.R_OK | constants.W_OK);
    } catch {
      return { usable: false, why: `${device} is absent, or not open to this user` };
    }
  }
  const folder = mkdtempSync(join(tmpdir(), 'kilonova-kvm-'));
  try {
    const rom = join(folder, 'rom');
    writeFileSync(rom, kvmProbeRom());
    return await runProbe(accel, rom, capMs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runProbe(accel: string, rom: string, capMs: number): Promise<KvmVerdict> {
  return new Promise((resolve) => {
    const args = ['-accel', accel, '-machine', 'pc', '-m', '16', '-display', 'none', '-nodefaults', '-no-user-config', '-no-reboot'];
    const child = spawn(
      findProgram('qemu-system-x86_64') ?? 'qemu-system-x86_64',
      [...args, '-bios', rom, '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    let verdict: KvmVerdict | undefined;
    const no = (why: string, more: { late?: true } = {}) => {
      verdict ??= { usable: false, why, ...more };
      child.kill('SIGKILL');
    };
    const cap = setTimeout(() => no(`the probe guest did not end within ${capMs} ms`, { late: true }), capMs);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
      const trouble = /KVM internal error|emulation failure|failed to initialize kvm|Could not access KVM/i.exec(said);
      if (trouble) no(`the probe guest failed: ${trouble[0]}`); // QEMU itself would not exit: it pauses the guest
    });
    child.on('error', (cause) => no(cause.message));
    child.on('close', (code) => {
      clearTimeout(cap);
      const last = said.trim().split('\n').at(-1) ?? '';
      resolve(
        verdict ??
          (code === GOOD_EXIT
            ? { usable: true, why: 'the probe guest ran' }
            : { usable: false, why: `the probe guest failed with ${code} ${last}` }),
      );
    });
  });
}

/** The verdict for this boot of the host, kept in `file`: a probe costs a fraction of a second, and only a reboot or another QEMU changes it. */
export async function cachedKvmVerdict(
  file: string,
  qemuVersion: string,
  probe: () => Promise<KvmVerdict> = probeKvm,
): Promise<KvmVerdict> {
  const key = `${bootId()} ${qemuVersion} uid ${process.getuid?.() ?? 0}`;
  try {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as KvmVerdict & { key: string }; // our own file; a strange one fails the test of its key
    if (kept.key === key && typeof kept.usable === 'boolean') return { usable: kept.usable, why: kept.why };
  } catch {}
  const verdict = await probe();
  if (!verdict.late) writeFileSync(file, `${JSON.stringify({ key, ...verdict })}\n`, { mode: 0o600 });
  return verdict;
}

/** The kernel's id of this boot; empty where there is none. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
