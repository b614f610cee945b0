import { Command, InvalidArgumentError, Option } from 'commander';
import type { PartName } from '../cloud/one-service.ts';
import { run } from './run.ts';

const port = (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65535) throw new InvalidArgumentError('a port is a number from 0 to 65535');
  return value;
};
const count = (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected a number from 1');
  return value;
};

const positive = (text: string) => {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number above 0');
  return value;
};

/** The command line: every command with its flags. */
export const program = new Command('kilonova')
  .description('OpenStack Compute written anew: a whole cloud in one program')
  .showHelpAfterError();
const withCloudOptions = (command: Command) =>
  command
    .option('--data-dir <dir>', 'where the cloud keeps everything (default: ~/.local/share/kilonova)')
    .option('--listen <address>', 'address to listen on')
    .option('--public-url <url>', 'base URL clients use, when it is not the one they ask by')
    .option('--port <n>', 'port of the front door; 0: any free one for every listener', port)
    .addOption(new Option('--hypervisor <which>', 'what runs guests').choices(['auto', 'qemu', 'libvirt', 'fake']))
    .option('--hosts <n>', 'number of fake hosts', count)
    .option('--config <file>', 'nova.conf')
    .option('--no-install', 'do not install missing system programs')
    .option('--image <file>', 'a qcow2 image to upload at the first start');

withCloudOptions(program.command('up').description('the whole cloud in one process'))
  .option('--demo', 'boot a server when the cloud is ready and show its way')
  .action((options) => run(async () => (await import('./up.ts')).upCommand(options)));
withCloudOptions(program.command('demo').description('boot a server on the running cloud, or on one of its own, and show its way')).action(
  (options) => run(async () => (await import('./up.ts')).demoCommand(options)),
);
for (const [name, text] of Object.entries({
  api: 'nova-api, with the small services the config names',
  conductor: 'nova-conductor: decides and records',
  scheduler: 'nova-scheduler',
  agent: 'nova-compute: one host',
  metadata: "the guests' metadata service",
})) {
  program
    .command(name)
    .description(`one part: ${text}`)
    .requiredOption('--config <file>', 'nova.conf')
    .option('--data-dir <dir>', 'where this part keeps its files')
    .option('--port <n>', 'port to listen on, instead of the config', port)
    .action((options) => run(async () => (await import('./service.ts')).serviceCommand(name as PartName, options)));
}
program
  .command('explain <server>')
  .description('why a server stands where it does, or nowhere: id or name')
  .option('--data-dir <dir>', 'data dir of the running cloud')
  .option('--limit <n>', 'hosts to show', count, 50)
  .option('--json', 'the API’s answer, a line for each decision')
  .action((server, options) => run(async () => (await import('./explain.ts')).explainCommand(server, options)));
program
  .command('simulate')
  .description('the scheduler on simulated hosts, in virtual time')
  .requiredOption('--hosts <n>', 'number of hosts', count)
  .option('--trace <file>', 'servers to place: CSV with columns at, vcpus, memory_mib, disk_gib, lifetime, zone')
  .option('--synthetic', 'a made-up trace')
  .option('--servers <n>', 'servers of a made-up trace', count, 10_000)
  .option('--rate <n>', 'of these asked for in a second (default: enough to fill the hosts)', positive)
  .option('--lifetime <seconds>', 'how long they live on average', positive, 86_400)
  .option('--host-vcpus <n>', 'CPUs of a host', count, 64)
  .option('--host-memory <MiB>', 'memory of a host', count, 262_144)
  .option('--host-disk <GiB>', 'disk of a host', count, 4000)
  .option('--mixed', 'half of the hosts smaller')
  .option('--seed <n>', 'the same seed gives the same run', count, 1)
  .option('--every <seconds>', 'virtual time between samples (default: 200 samples)', positive)
  .option('--config <file>', 'nova.conf: filters, weights, ratios')
  .option('--out <dir>', 'write samples.csv, report.json and utilisation.svg there')
  .option('--json', 'print the report as JSON')
  .action((options) => run(async () => (await import('./simulate.ts')).simulateCommand(options)));
program
  .command('placement')
  .description('the placement API alone, on tables of its own')
  .requiredOption('--data-dir <dir>', 'where it keeps its database')
  .option('--port <n>', 'port to listen on; 0: any free one', port, 8778)
  .option('--listen <address>', 'address to listen on')
  .addOption(new Option('--auth <way>', 'how tokens are checked (default: the config)').choices(['keystone', 'noauth2']))
  .option('--policy <file>', 'policy.yaml with rules that replace defaults')
  .option('--config <file>', 'placement.conf')
  .action((options) => run(async () => (await import('./placement.ts')).placementCommand(options)));
const db = program.command('db').description('the database');
db.command('migrate')
  .description('bring the tables up to date')
  .requiredOption('--config <file>', 'nova.conf')
  .option('--data-dir <dir>', 'data dir, for a database in its own file')
  .action((options) => run(async () => (await import('./db.ts')).migrateCommand(options)));
const image = program.command('image').description('images');
image
  .command('build-tiny')
  .description('build the tiny guest image from Debian packages')
  .option('--out <dir>', 'where to put it', './tiny-image')
  .option('--no-install', 'do not install missing system programs')
  .action((options) => run(async () => (await import('./image.ts')).buildTinyCommand(options)));
