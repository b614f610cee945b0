import { classes, type Report, type Sample } from './simulate.ts';

const [WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM] = [900, 420, 60, 40, 150, 50] as const;
const colors = { VCPU: '#c0392b', MEMORY_MB: '#2471a3', DISK_GB: '#1e8449' } as const;
const names = { VCPU: 'CPUs', MEMORY_MB: 'memory', DISK_GB: 'disk' } as const;

/** Utilisation over time as an SVG picture: full lines are used, broken ones the bound, dotted ones stranded. */
export function plot({ samples, hosts, placed, refused }: Report): string {
  const end = samples.at(-1)?.at || 1;
  const x = (at: number) => (LEFT + (at / end) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (part: number) => (HEIGHT - BOTTOM - Math.min(1, part) * (HEIGHT - TOP - BOTTOM)).toFixed(1);
  const line = (of: (sample: Sample) => number, color: string, dash: string) =>
    `<polyline fill="none" stroke="${color}" stroke-width="1.5"${dash} points="${samples.map((one) => `${x(one.at)},${y(of(one))}`).join(' ')}"/>`;
  const marks = [0, 0.25, 0.5, 0.75, 1];
  const text = (at: string | number, down: string | number, words: string, more = '') =>
    `<text x="${at}" y="${down}" font-family="sans-serif" font-size="12"${more}>${words}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(LEFT, 22, `Utilisation of ${hosts} hosts: ${placed} servers placed, ${refused} refused`),
    ...marks.flatMap((part) => [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(part)}" y2="${y(part)}" stroke="#dddddd"/>`,
      text(LEFT - 8, y(part), `${part * 100} %`, ' text-anchor="end"'),
    ]),
    ...marks.map((part) => text(x(part * end), HEIGHT - BOTTOM + 18, `${((part * end) / 3600).toFixed(1)} h`, ' text-anchor="middle"')),
    ...classes.flatMap((name, at) => [
      line(({ bound }) => bound[name], colors[name], ' stroke-dasharray="6 4" stroke-opacity="0.6"'),
      line(({ stranded }) => stranded[name], colors[name], ' stroke-dasharray="1 3"'),
      line(({ used }) => used[name], colors[name], ''),
      text(WIDTH - RIGHT + 12, TOP + 16 + at * 18, names[name], ` fill="${colors[name]}"`),
    ]),
    ...['full: used', 'broken: bound', 'dotted: stranded'].map((words, at) => text(WIDTH - RIGHT + 12, TOP + 90 + at * 18, words)),
    '</svg>',
    '',
  ].join('\n');
}

/** The samples as CSV, a line each. */
export function csvOf({ samples }: Report): string {
  const groups = ['used', 'bound', 'stranded'] as const;
  const head = ['at', 'servers', 'refused', ...groups.flatMap((group) => classes.map((name) => `${group}_${name.toLowerCase()}`))];
  const lines = samples.map((one) => [
    one.at.toFixed(3),
    one.servers,
    one.refused,
    ...groups.flatMap((group) => classes.map((name) => one[group][name].toFixed(6))),
  ]);
  return `${[head, ...lines].map((cells) => cells.join(',')).join('\n')}\n`;
}
