import { existsSync, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What slow tests may need, and the programs that prove it is there (paths may hold `*`), with Debian's package of each. */
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
export type Need = keyof typeof NEEDS;

/** Why a test that needs these cannot run here, or false: what `skip` of node:test takes. Throws instead when `MUST_RUN` (a list with
 *  commas) has one of them: there a skip is a failure. */
export function requires(...needs: readonly Need[]): string | false {
  const must = new Set((process.env.MUST_RUN ?? '').split(',').map((word) => word.trim()));
  for (const need of needs) {
    const packages = new Set<string>();
    for (const [program, from] of Object.entries(NEEDS[need])) if (!isThere(program)) packages.add(from);
    if (packages.size === 0) continue;
    const reason = `needs ${need}: apt-get install --no-install-recommends ${[...packages].join(' ')}`;
    if (must.has(need)) throw new Error(`MUST_RUN=${need}, but this test ${reason}`);
    return reason;
  }
  return false;
}

function isThere(program: string): boolean {
  return findProgram(program) !== undefined;
}

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
