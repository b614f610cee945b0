// Measures and prints one JSON line for each figure. Words choose parts: `npm run bench -- create list`.
import { cpus, loadavg } from 'node:os';

const parts: Readonly<Record<string, () => Promise<void>>> = {
  start: async () => (await import('./start.ts')).benchStart(),
  create: async () => (await import('./create.ts')).benchCreate(),
  list: async () => (await import('./list.ts')).benchList(),
  api: async () => (await import('./api.ts')).benchApi(),
  placement: async () => (await import('./placement.ts')).benchPlacement(),
  qemu: async () => {
    await (await import('./qemu-deeds.ts')).benchQemuDeeds();
    await (await import('./qemu.ts')).benchQemu();
  },
  'qemu-deeds': async () => (await import('./qemu-deeds.ts')).benchQemuDeeds(),
  scheduler: async () => (await import('./scheduler.ts')).benchScheduler(),
};
const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !parts[name]);
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}. Parts: ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
console.error(
  `# ${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown CPU'}, load before ${loadavg()[0]?.toFixed(2)}, node ${process.version}`,
);
for (const [name, run] of Object.entries(parts)) if (chosen.length === 0 || chosen.includes(name)) await run();
