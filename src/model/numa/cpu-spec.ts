import { pythonInt } from '../python.ts';

/** CPUs of a text such as `0-3,^2,8`. Throws for what is none.  Spec: Nova's parse_cpu_spec. */
export function parseCpus(text: string): Set<number> {
  const [named, excluded] = [new Set<number>(), new Set<number>()];
  for (const part of text.split(',')) {
    const rule = part.trim();
    if (rule === '') continue;
    const into = rule.startsWith('^') ? excluded : named;
    const [first, ...rest] = (into === excluded ? rule.slice(1) : rule).split(/-(.*)/s);
    const start = whole(first ?? '', rule);
    const end = rest.length > 0 ? whole(rest[0] ?? '', rule) : start;
    if (start > end) throw new Error(`${rule} is no range of CPUs`);
    if (end - start > 65_536) throw new Error(`${rule} names more CPUs than any host has`);
    for (let cpu = start; cpu <= end; cpu++) into.add(cpu);
  }
  return named.difference(excluded);
}
function whole(text: string, rule: string): number {
  try {
    return pythonInt(text);
  } catch (cause) {
    throw new Error(`${rule} names no CPU`, { cause });
  }
}
