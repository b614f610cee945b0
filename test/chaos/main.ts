// npm run chaos -- --seed N --minutes M [--clients N --hosts N --guests N --strikes PER_MINUTE --engine sqlite|mariadb|postgres --outside --keep --quiet]:
// many clients ask for everything while parts of the cloud are killed. Prints `audit ok`, or what does not agree, and exits with 1.
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { unfit } from './asker.ts';
import { runChaos } from './run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '2' },
    clients: { type: 'string', default: '8' },
    hosts: { type: 'string', default: '4' },
    guests: { type: 'string', default: '0' },
    engine: { type: 'string', default: 'sqlite' },
    outside: { type: 'boolean', default: false },
    strikes: { type: 'string', default: '30' },
    keep: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
  },
});
const { engine } = values;
if (engine !== 'sqlite' && engine !== 'mariadb' && engine !== 'postgres') throw new Error('--engine is sqlite, mariadb or postgres');
const result = await runChaos({
  seed: Number(values.seed),
  minutes: Number(values.minutes),
  clients: Number(values.clients),
  hosts: Number(values.hosts),
  guests: Number(values.guests),
  engine,
  outside: values.outside,
  strikesPerMinute: Number(values.strikes),
  say: (line) => values.quiet || console.error(`# ${line}`),
  keep: values.keep,
});
if (!values.quiet) for (const one of unfit) console.error(`# refused: ${one}`);
const { wrong, kills, asked, answered, servers, guests } = result;
console.log(
  JSON.stringify({ seed: Number(values.seed), engine, strikes: kills, requests: asked, answered, servers, guests, load: loadavg()[0] }),
);
for (const line of wrong) console.log(line);
console.log(wrong.length === 0 ? 'audit ok' : `${wrong.length} differences`);
process.exit(wrong.length === 0 ? 0 : 1);
