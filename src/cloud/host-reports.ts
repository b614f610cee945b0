import { cpus } from 'node:os';

/** Attributes that a config gives a host: name=value. A value that begins as a JSON list or object is that, all else is text. Throws for an
 *  entry without a name. Memory cells and devices are reported the same way, by the names numa_topology and pci_device_pools. */
export function hostAttributes(entries: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    entries.map((entry) => {
      const at = entry.indexOf('=');
      const name = entry.slice(0, at).trim();
      if (at < 1 || !/^[\w.-]+$/.test(name)) throw new Error(`[kilonova] host_attributes: ${entry} is not name=value`);
      const value = entry.slice(at + 1).trim();
      if (!/^[[{]/.test(value)) return [name, value];
      try {
        return [name, JSON.parse(value) as unknown];
      } catch (cause) {
        throw new Error(`[kilonova] host_attributes: the value of ${name} is no JSON`, { cause });
      }
    }),
  );
}

/** Spec: compute_monitors, of which cpu.virt_driver is the one there is. Throws for another. */
export function monitorsCpu(names: readonly string[]): boolean {
  for (const name of names)
    if (
      ![
        'cpu.virt_driver',
        'virt_driver',
        'nova.compute.monitors.cpu.virt_driver',
        'nova.compute.monitors.cpu.virt_driver.Monitor',
      ].includes(name)
    )
      throw new Error(`compute_monitors names ${name}; there is cpu.virt_driver`);
  return names.length > 0;
}

interface Times {
  readonly user: number;
  readonly kernel: number;
  readonly idle: number;
}
const timesNow = (): Times => {
  const sum = { user: 0, kernel: 0, idle: 0 };
  for (const { times } of cpus()) {
    sum.user += times.user + times.nice;
    sum.kernel += times.sys + times.irq;
    sum.idle += times.idle;
  }
  return sum;
};

/** The host's CPUs: their frequency in MHz, their time since the host started in ns, and shares of it, 0 to 1, since the last look.
 *  Spec: Nova's cpu.virt_driver monitor. */
export function cpuMonitor(): () => { name: string; value: number }[] {
  let before: Times = { user: 0, kernel: 0, idle: 0 };
  return () => {
    const now = timesNow();
    const all = Math.max(1, now.user + now.kernel + now.idle - before.user - before.kernel - before.idle);
    const share = (name: keyof Times) => Math.min(1, Math.max(0, (now[name] - before[name]) / all));
    const [user, kernel, idle] = [share('user'), share('kernel'), share('idle')];
    before = now;
    const ns = (ms: number) => Math.round(ms * 1_000_000);
    return [
      { name: 'cpu.frequency', value: cpus()[0]?.speed ?? 0 },
      { name: 'cpu.user.time', value: ns(now.user) },
      { name: 'cpu.kernel.time', value: ns(now.kernel) },
      { name: 'cpu.idle.time', value: ns(now.idle) },
      { name: 'cpu.iowait.time', value: 0 },
      { name: 'cpu.user.percent', value: user },
      { name: 'cpu.kernel.percent', value: kernel },
      { name: 'cpu.idle.percent', value: idle },
      { name: 'cpu.iowait.percent', value: 0 },
      { name: 'cpu.percent', value: Math.min(1, user + kernel) },
    ];
  };
}
