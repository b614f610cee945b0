import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testGuest } from '../../../test/contracts/driver.ts';
import { CloudError } from '../../model/errors.ts';
import type { ClaimedCell, GuestSpec, ImageRef } from '../driver.ts';
import { type CommandLineParts, commandLine } from './command-line.ts';
import { cpuTopology } from './cpu-topology.ts';
import { disksOf } from './disks.ts';
import { type FirmwareFiles, findFirmware, firmwareOf } from './firmware.ts';
import { guestPaths } from './guest-paths.ts';
import { type HostCellReport, hugePageMount, readHostCells } from './host-cells.ts';
import { planNetwork } from './network-plan.ts';
import { pinPlan, tasksetArgs } from './pin-threads.ts';
import { type PlacedCell, placeCells, standsAsWished } from './place-cells.ts';
import { freshSlots, machineOf } from './slots.ts';
import { machineWishes } from './test-machines.ts';

const golden = fileURLToPath(new URL('../../../test/golden/qemu/machines.txt', import.meta.url));
const image: ImageRef = { id: 'an-image', diskFormat: 'qcow2', sizeBytes: 1, hashAlgo: 'sha512', hashValue: 'f'.repeat(128) };
const guest = (extraSpecs: Record<string, string>, imageProperties: Record<string, string> = {}, more: Partial<GuestSpec> = {}) =>
  testGuest(image, {
    uuid: '00000000-1111-2222-3333-444444444444',
    name: 'instance-00000001',
    vcpus: 4,
    memoryMiB: 512,
    nics: [],
    extraSpecs,
    imageProperties,
    ...more,
  });
const firmware: FirmwareFiles = {
  plain: { code: '/fw/CODE.fd', vars: '/fw/VARS.fd' },
  secure: { code: '/fw/CODE.ms.fd', vars: '/fw/VARS.ms.fd' },
};
const cell = (id: number, cpus: number[], more: Partial<HostCellReport> = {}): HostCellReport => ({
  id,
  cpuset: cpus,
  pcpuset: cpus,
  memory: 4096,
  siblings: cpus.flatMap((cpu) => (cpu % 2 === 0 ? [[cpu, cpu + 1]] : [])),
  mempages: [
    { size_kb: 4, total: 1_000_000, reserved: 0 },
    { size_kb: 2048, total: 512, reserved: 0 },
  ],
  socket: id,
  ...more,
});
const host = [cell(0, [0, 1, 2, 3]), cell(1, [4, 5, 6, 7])];

/** What QEMU is told, but for what every guest has. */
function argv(spec: GuestSpec, more: Partial<CommandLineParts> = {}): string[] {
  const paths = guestPaths('/state', spec.uuid);
  const cells = placeCells(spec, host, []);
  const memory = cells && { cells, binds: true, pageFolders: { 2048: '/dev/hugepages' } };
  const line = commandLine({
    spec,
    paths,
    disks: disksOf(spec, paths, '/state/images/base'),
    kernel: null,
    network: planNetwork(spec),
    slots: freshSlots(spec),
    acceleration: 'tcg',
    forwards: [],
    firmware: firmwareOf(spec, machineOf(spec), firmware),
    memory,
    ...more,
  });
  return line.map((word) => word.replaceAll(paths.folder, '<guest>'));
}
function pairs(args: readonly string[]): string[] {
  const list: string[] = [];
  for (const arg of args) {
    if (arg.startsWith('-')) list.push(arg);
    else list.push(`${list.pop()} ${arg}`);
  }
  return list.filter((one) => !one.startsWith('-device pcie-root-port'));
}

describe('machines', () => {
  test('golden: what each wish of a flavor or an image adds to a plain machine, and takes from it', () => {
    const plain = pairs(argv(guest({})));
    const text = Object.entries(machineWishes(guest, '/v/1'))
      .map(([name, spec]) => {
        const now = pairs(argv(spec));
        const gone = plain.filter((one) => !now.includes(one)).map((one) => `  without ${one}`);
        return [`# ${name}`, ...now.filter((one) => !plain.includes(one)).map((one) => `  ${one}`), ...gone, ''].join('\n');
      })
      .join('\n');
    if (process.env.GOLDEN === 'write') {
      mkdirSync(dirname(golden), { recursive: true });
      writeFileSync(golden, text);
    }
    assert.equal(text, readFileSync(golden, 'utf8'));
  });

  test('without a balloon nobody asks for memory back', () => {
    assert.ok(!argv(guest({}), { balloon: false }).some((word) => word.includes('balloon')));
  });

  test('what cannot be is refused by name', () => {
    const wrong = (extraSpecs: Record<string, string>, properties: Record<string, string>, why: RegExp) =>
      assert.throws(() => argv(guest(extraSpecs, properties)), why);
    wrong({}, { hw_firmware_type: 'coreboot' }, /hw_firmware_type=coreboot is not one of bios, uefi/);
    wrong({ 'os:secure_boot': 'required' }, {}, /secure boot needs hw_firmware_type=uefi/);
    wrong(
      {},
      { os_secure_boot: 'required', hw_firmware_type: 'uefi', hw_machine_type: 'pc' },
      /secure boot needs hw_machine_type=q35, not pc/,
    );
    wrong({ 'os:secure_boot': 'disabled' }, { os_secure_boot: 'required' }, /disabled by the flavor and required by the image/);
    wrong({}, { hw_watchdog_action: 'bark' }, /hw_watchdog_action=bark is not one of/);
    wrong({}, { hw_video_ram: '64' }, /hw_video_ram=64 MiB is more than the 0 of the flavor/);
    wrong({}, { hw_scsi_model: 'buslogic' }, /hw_scsi_model=buslogic is not one of virtio-scsi/);
    wrong({ 'quota:disk_total_iops_sec': '1', 'quota:disk_read_iops_sec': '1' }, {}, /total iops cannot stand beside one of read iops/);
    wrong({ 'hw:cpu_max_sockets': '1', 'hw:cpu_max_cores': '2', 'hw:cpu_max_threads': '1' }, {}, /no CPU topology of 4 CPUs fits/);
    wrong({ 'hw:cpu_max_cores': '2' }, { hw_cpu_max_cores: '4' }, /hw_cpu_max_cores=4 is more than the flavor's 2/);
    wrong({ 'hw:tpm_model': 'tpm-crb' }, {}, /hw_tpm_model needs hw_tpm_version/);
    wrong({ 'hw:tpm_model': 'tpm-crb', 'hw:tpm_version': '1.2' }, {}, /tpm-crb is for hw_tpm_version=2.0/);
    wrong({ 'hw:numa_nodes': '3' }, {}, /cannot be cut into 3 equal cells/);
    assert.throws(() => firmwareOf(guest({}, { hw_firmware_type: 'uefi' }), 'pc', { plain: null, secure: null }), /package ovmf/);
    assert.throws(
      () => placeCells(guest({ 'hw:numa_nodes': '1', 'hw:cpu_policy': 'dedicated' }, {}, { vcpus: 5 }), host, []),
      /not free on this host/,
    );
    assert.throws(() => placeCells(guest({ 'hw:mem_page_size': '1GB' }), host, []), /not free on this host/);
  });

  test('CPU topologies: sockets when nobody minds, what was asked for as far as it goes', () => {
    const of = (vcpus: number, extraSpecs: Record<string, string>) => {
      const { sockets, cores, threads } = cpuTopology(guest(extraSpecs, {}, { vcpus })) ?? { sockets: 0, cores: 0, threads: 0 };
      return [sockets, cores, threads].join(' ');
    };
    assert.equal(of(8, {}), '0 0 0');
    assert.equal(of(8, { 'hw:cpu_max_sockets': '2' }), '2 4 1');
    assert.equal(of(8, { 'hw:cpu_cores': '4' }), '2 4 1');
    assert.equal(of(8, { 'hw:cpu_threads': '2', 'hw:cpu_sockets': '2' }), '2 2 2');
    assert.equal(of(6, { 'hw:cpu_sockets': '4', 'hw:cpu_cores': '3' }), '2 3 1', 'four sockets cannot be');
  });

  test('cells: a claim tells where they stand, and nothing else will do', () => {
    const specs = {
      'hw:numa_nodes': '2',
      'hw:cpu_policy': 'dedicated',
      'hw:emulator_threads_policy': 'isolate',
      'hw:mem_page_size': 'large',
    };
    const pins = (...list: [number, number][]) => list.map(([guestCpu, hostCpu]) => ({ guest: guestCpu, host: hostCpu }));
    const claimed: ClaimedCell[] = [
      { cpus: [0, 1], memoryMiB: 256, hostCell: 1, pageKiB: 2048, pins: pins([0, 7], [1, 5]), emulator: [4] },
      { cpus: [2, 3], memoryMiB: 256, hostCell: 0, pageKiB: 2048, pins: pins([2, 3], [3, 0]), emulator: [] },
    ];
    const told = (cells: readonly ClaimedCell[], others: Record<string, string> = specs) => guest(others, {}, { claimedCells: cells });
    const first = placeCells(told(claimed), host, []) ?? [];
    assert.deepEqual(
      first.map((one) => [one.hostCell, one.pageKiB, one.pins, one.emulator]),
      [
        [
          1,
          2048,
          [
            [0, 7],
            [1, 5],
          ],
          [4],
        ],
        [
          0,
          2048,
          [
            [2, 3],
            [3, 0],
          ],
          [],
        ],
      ],
    );
    assert.deepEqual(pinPlan(first, null).emulator, [4]);
    assert.ok(standsAsWished(first, told(claimed)) && standsAsWished(first, guest(specs)));
    const elsewhere = placeCells(guest(specs), host, []) ?? [];
    assert.ok(!standsAsWished(elsewhere, told(claimed)), 'it goes where its claim is');
    const words = argv(told(claimed), { memory: { cells: first, binds: true, pageFolders: { 2048: '/dev/hugepages' } } });
    assert.ok(words.some((word) => word.includes('id=cell0,size=256M,host-nodes=1,policy=bind')));

    const [one, two] = claimed as [ClaimedCell, ClaimedCell];
    const gone = (cells: readonly ClaimedCell[], why: RegExp, on = host, beside: readonly PlacedCell[] = []) =>
      assert.throws(
        () => placeCells(told(cells), on, beside),
        (cause) => cause instanceof CloudError && cause.code === 'guest.claimed_place_gone' && why.test(cause.message),
      );
    gone(claimed, /there is no memory cell 1/, [host[0]!]);
    gone(claimed, /memory cell 1 has no CPUs 5, 7 to give away/, [host[0]!, cell(1, [4, 6, 8])]);
    gone(claimed, /memory cell 1 has no CPUs 4 to give away/, [host[0]!, cell(1, [5, 6, 7])]);
    gone(claimed, /CPUs 4, 5, 7 are another guest's/, host, first);
    gone(claimed, /memory cell 1 has not enough free pages of 2048 KiB/, [host[0]!, cell(1, [4, 5, 6, 7], { mempages: [] })]);
    gone([one], /it is for 1 memory cells, and the guest has 2/);
    gone([one, { ...two, memoryMiB: 512 }], /for another memory cell 1 than the guest has/);
    gone([one, { ...two, pins: [] }], /for another memory cell 1/);
    // Small pages are what every guest has, whatever they are called.
    const shared: ClaimedCell = { cpus: [0, 1, 2, 3], memoryMiB: 512, hostCell: 1, pageKiB: 4, pins: [], emulator: [] };
    const plain = placeCells(told([shared], { 'hw:numa_nodes': '1' }), host, first) ?? [];
    assert.deepEqual([plain[0]?.hostCell, plain[0]?.pageKiB, plain[0]?.shared], [1, null, [4, 5, 6, 7]]);
    assert.equal(placeCells(told(claimed, {}), host, []), null, 'who asks for none gets none');
  });

  test('cells: each on a cell of its own, pinned CPUs are nobody else’s, and stay where they are', () => {
    const wish = guest({ 'hw:numa_nodes': '2', 'hw:cpu_policy': 'dedicated' });
    const first = placeCells(wish, host, []) ?? [];
    assert.deepEqual(
      first.map(({ hostCell, pins }) => [hostCell, pins.length]),
      [
        [0, 2],
        [1, 2],
      ],
    );
    assert.ok(standsAsWished(first, wish) && !standsAsWished(first, guest({ 'hw:numa_nodes': '1' })));
    const second = placeCells(wish, host, first) ?? [];
    const cpus = [...first, ...second].flatMap(({ pins }) => pins.map(([, cpu]) => cpu));
    assert.equal(new Set(cpus).size, 8);
    assert.throws(() => placeCells(wish, host, [...first, ...second]), /not free/);
    const pages = placeCells(guest({ 'hw:mem_page_size': '2048' }, {}, { memoryMiB: 1024 }), host, []) ?? [];
    assert.deepEqual([pages[0]?.pageKiB, pages.length], [2048, 1]);
    assert.throws(
      () => placeCells(guest({ 'hw:mem_page_size': 'large', 'hw:numa_nodes': '1' }, {}, { memoryMiB: 1024 }), [host[0]!], pages),
      /not free/,
    );
    assert.equal(placeCells(guest({}), host, []), null);
  });

  test('threads: own CPUs for dedicated ones, the shared set for the others; the emulator by its policy', () => {
    const plan = (extraSpecs: Record<string, string>, shared: number[] | null = null, vcpus = 2) => {
      const { cpus, emulator, others } = pinPlan(placeCells(guest(extraSpecs, {}, { vcpus }), host, []), shared);
      return [[...cpus], emulator, others];
    };
    assert.deepEqual(plan({}), [[], null, null]);
    assert.deepEqual(plan({}, [2, 3]), [[], [2, 3], [2, 3]]);
    const [own, emulator] = plan({ 'hw:cpu_policy': 'dedicated' });
    assert.deepEqual(
      [own, emulator],
      [
        [
          [0, [0]],
          [1, [1]],
        ],
        [0, 1],
      ],
    );
    const [, apart] = plan({ 'hw:cpu_policy': 'dedicated', 'hw:emulator_threads_policy': 'isolate' });
    assert.equal((apart as number[]).length, 1);
    assert.deepEqual(tasksetArgs([0, 5], 1234), ['-c', '-p', '0,5', '1234']);
  });

  test('the host: cells, cores and pages as the kernel tells them; CPUs by the two sets', () => {
    const root = mkdtempSync(join(tmpdir(), 'kn-cells-'));
    const put = (path: string, text: string) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), `${text}\n`);
    };
    try {
      put('cpu/online', '0-3');
      put('node/online', '0-1');
      for (const node of [0, 1]) {
        put(`node/node${node}/cpulist`, node === 0 ? '0-1' : '2-3');
        put(`node/node${node}/meminfo`, `Node ${node} MemTotal:  ${1024 * 1024} kB`);
        put(`node/node${node}/hugepages/hugepages-2048kB/nr_hugepages`, String(node * 8));
        for (const cpu of [node * 2, node * 2 + 1]) {
          put(`cpu/cpu${cpu}/topology/thread_siblings_list`, `${node * 2}-${node * 2 + 1}`);
          put(`cpu/cpu${cpu}/topology/physical_package_id`, String(node));
        }
      }
      const [first, second] = readHostCells({ shared: null, dedicated: null }, root);
      assert.deepEqual([first?.cpuset, first?.pcpuset, first?.memory, first?.siblings, first?.socket], [[0, 1], [0, 1], 1024, [[0, 1]], 0]);
      assert.deepEqual(second?.mempages, [
        { size_kb: 4, total: (1024 * 1024 - 16_384) / 4, reserved: 0 },
        { size_kb: 2048, total: 8, reserved: 0 },
      ]);
      const split = readHostCells({ shared: null, dedicated: new Set([1, 2]) }, root);
      assert.deepEqual(
        split.map(({ cpuset, pcpuset }) => [cpuset, pcpuset]),
        [
          [[0], [1]],
          [[3], [2]],
        ],
      );
      assert.equal(findFirmware([join(root, 'cpu')]).plain, null);
    } finally {
      rmSync(root, { recursive: true });
    }
    const mounts = 'hugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\nx /mnt/big hugetlbfs rw,pagesize=1024M 0 0\n';
    assert.deepEqual(
      [hugePageMount(2048, mounts), hugePageMount(1024 ** 2, mounts), hugePageMount(4, mounts)],
      ['/dev/hugepages', '/mnt/big', undefined],
    );
  });
});
