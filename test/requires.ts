import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findCpuGroups } from '../src/hypervisors/qemu/cpu-group.ts';

/** Programs that tests may need, and what proves that they are there (paths may hold `*`), with Debian's package of each. */
const NEEDS = {
  qemu: {
    'qemu-system-x86_64': 'qemu-system-x86',
    'qemu-img': 'qemu-utils',
    socat: 'socat',
    genisoimage: 'genisoimage',
    ssh: 'openssh-client',
  },
  'qemu-img': { 'qemu-img': 'qemu-utils' },
  'tiny-image': {
    'apt-get': 'apt',
    'dpkg-deb': 'dpkg',
    mke2fs: 'e2fsprogs',
    mformat: 'mtools',
    syslinux: 'syslinux',
    depmod: 'kmod',
    'qemu-img': 'qemu-utils',
  },
  swtpm: { swtpm: 'swtpm' },
  ovmf: { '/usr/share/OVMF/OVMF_CODE*.fd': 'ovmf' },
  mariadb: { mariadbd: 'mariadb-server', 'mariadb-install-db': 'mariadb-server' },
  postgres: { '/usr/lib/postgresql/*/bin/initdb': 'postgresql', '/usr/lib/postgresql/*/bin/postgres': 'postgresql' },
  rabbitmq: { '/usr/lib/rabbitmq/bin/rabbitmq-server': 'rabbitmq-server', epmd: 'erlang-base' },
  'openstack-client': { openstack: 'python3-openstackclient' },
  'nova-client': { nova: 'python3-novaclient' },
} as const satisfies Record<string, Readonly<Record<string, string>>>;
/** What tests may need of the machine itself: whether it is there, and what would give it. */
const POWERS = {
  mount: [() => isRoot() && mayMount('-m'), 'root, who may mount file systems'],
  'small-disk': [() => mayMount(isRoot() ? '-m' : '-Urm'), 'root or user namespaces, to mount a small file system'],
  'cpu-groups': [() => findCpuGroups() !== null, 'control groups of CPU time that this user may write to'],
} as const satisfies Record<string, readonly [() => boolean, string]>;
export type Need = keyof typeof NEEDS | keyof typeof POWERS;

/** Why a test that needs these cannot run here, or false: what `skip` of node:test takes. Throws instead when `MUST_RUN` (a list with
 *  commas) has one of them: there a skip is a failure. */
export function requires(...needs: readonly Need[]): string | false {
  const must = new Set((process.env.MUST_RUN ?? '').split(',').map((word) => word.trim()));
  for (const need of needs) {
    const lack = need in POWERS ? lackOfPower(need as keyof typeof POWERS) : lackOfPrograms(need as keyof typeof NEEDS); // each stands in one of the two
    if (lack === undefined) continue;
    const reason = `needs ${need}: ${lack}`;
    if (must.has(need)) throw new Error(`MUST_RUN=${need}, but this test ${reason}`);
    return reason;
  }
  return false;
}

function lackOfPrograms(need: keyof typeof NEEDS): string | undefined {
  const missing = Object.entries(NEEDS[need]).filter(([program]) => findProgram(program) === undefined);
  if (missing.length === 0) return undefined;
  return `apt-get install --no-install-recommends ${[...new Set(missing.map(([, from]) => from))].join(' ')}`;
}

function lackOfPower(need: keyof typeof POWERS): string | undefined {
  const [isThere, what] = POWERS[need];
  return isThere() ? undefined : what;
}

const isRoot = () => process.getuid?.() === 0;
/** Tries it where nobody sees it: in a mount namespace of its own. */
const mayMount = (how: '-m' | '-Urm') => spawnSync('unshare', [how, 'mount', '-t', 'tmpfs', 'none', '/tmp']).status === 0;

/** Where a program is, also in the folders that Debian keeps off the PATH; paths may hold `*`. Undefined when it is nowhere. */
export function findProgram(program: string): string | undefined {
  if (program.startsWith('/')) return globSync(program)[0];
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    ...globSync('/usr/lib/postgresql/*/bin').sort((a, b) => b.localeCompare(a, 'en', { numeric: true })),
  ];
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}
