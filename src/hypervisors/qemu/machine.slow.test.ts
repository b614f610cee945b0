import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { testGuest, until } from '../../../test/contracts/driver.ts';
import { requires } from '../../../test/requires.ts';
import { tinyGuest } from '../../../test/support/tiny-guest.ts';
import { systemClock } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import { silentLog } from '../../lib/log.ts';
import type { Driver, GuestSpec } from '../driver.ts';
import { findCpuGroups } from './cpu-group.ts';
import { createQemuDriver } from './qemu-driver.ts';
import { buttonGuest } from './test-guests.ts';
import { machineWishes } from './test-machines.ts';

// Two boots of an operating system, and many of one that fits a boot sector.
const BOOT_MS = 180_000;
const never = new AbortController().signal;
/** A script that the guest runs at its first boot; what it says is in the console. */
const LOOK = `#!/bin/sh
echo "nodes=$(cat /sys/devices/system/node/online)" > /dev/console
for n in /sys/devices/system/node/node*; do echo "node $(basename $n) cpus=$(cat $n/cpulist) kB=$(awk '/MemTotal/ {print $4}' $n/meminfo)" > /dev/console; done
echo "packages=$(cat /sys/devices/system/cpu/cpu*/topology/physical_package_id | tr '\\n' ' ')" > /dev/console
for d in /sys/bus/pci/devices/*; do echo "pci $(basename $d) $(cat $d/vendor):$(cat $d/device)" > /dev/console; done
for d in /sys/block/vd*; do echo "disk $(basename $d) sectors=$(cat $d/size)" > /dev/console; done
echo "tpms=$(ls /sys/bus/acpi/devices | grep -c MSFT0101)" > /dev/console
[ -d /sys/firmware/efi ] && echo "firmware=efi" > /dev/console || echo "firmware=bios" > /dev/console
echo "looked=yes" > /dev/console
`;

describe('machines of QEMU as flavors and images ask for them', { skip: requires('qemu', 'tiny-image', 'ovmf', 'swtpm') }, () => {
  let folder: string;
  let driver: Driver;
  let plain: GuestSpec;
  const consoleOf = async (uuid: string) => (await driver.consoleOutput(uuid, 400_000)).toString();
  const looked = async (guest: GuestSpec) => {
    await driver.createDisks(guest);
    await driver.spawn(guest);
    return until(
      'the look from inside',
      () => consoleOf(guest.uuid),
      (text) => /^looked=yes/m.test(text),
      BOOT_MS,
    );
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kn-machine-'));
    const put = (path: string, text: string) => {
      mkdirSync(dirname(join(folder, 'cells', path)), { recursive: true });
      writeFileSync(join(folder, 'cells', path), `${text}\n`);
    };
    // A host of two cells, whatever this one has: a CPU each, or this machine's first one twice.
    const last = Math.min(1, cpus().length - 1);
    put('cpu/online', last === 0 ? '0' : '0-1');
    put('node/online', '0-1');
    for (const [node, cpu] of [0, last].entries()) {
      put(`node/node${node}/cpulist`, String(cpu));
      put(`node/node${node}/meminfo`, `Node ${node} MemTotal: ${4 * 1024 ** 2} kB`);
    }
    driver = createQemuDriver({
      hostname: 'host-1',
      stateDir: join(folder, 'state'),
      clock: systemClock,
      log: silentLog,
      cellsRoot: join(folder, 'cells'),
    });
    await driver.start();
    const meta = { uuid: newUuid(), hostname: 'inside', name: 'inside' };
    ({ guest: plain } = await tinyGuest(driver, join(folder, 'image'), {
      memoryMiB: 160,
      vcpus: 2,
      nics: [],
      configDrive: {
        'openstack/latest/meta_data.json': Buffer.from(JSON.stringify(meta)).toString('base64'),
        'openstack/latest/user_data': Buffer.from(LOOK).toString('base64'),
      },
    }));
  });
  after(async () => {
    for (const one of (await driver?.guests()) ?? []) await driver.destroy(one.uuid);
    await driver?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('QEMU takes every machine of the golden file', async () => {
    const image = buttonGuest();
    await driver.fetchImage(image.ref, async () => Readable.from([image.bytes]), never);
    const volumeFile = join(folder, 'volume');
    await writeFile(volumeFile, '');
    await truncate(volumeFile, 1024 ** 2);
    const wishes = machineWishes(
      (extraSpecs, imageProperties = {}, more = {}) =>
        testGuest(image.ref, { vcpus: 4, memoryMiB: 512, nics: [], extraSpecs, imageProperties, ...more }),
      volumeFile,
    );
    for (const [name, guest] of Object.entries(wishes)) {
      if (/dedicated|mem_page_size/.test(name)) continue; // this host has neither so many CPUs nor such pages
      await driver.createDisks(guest);
      await driver.spawn(guest).catch((cause) => {
        throw new Error(`${name}: ${cause instanceof Error ? cause.message : cause}`, { cause });
      });
      assert.equal((await driver.guest(guest.uuid))?.power, 'running', name);
      await driver.removeDisks(guest.uuid);
    }
  });

  test('inside: two memory cells, a watchdog, four disks; outside: each CPU where it is claimed', async () => {
    const disk = (kind: 'ephemeral' | 'swap', sizeMiB: number) => ({ kind, sizeMiB, format: null, device: null });
    const last = Math.min(1, cpus().length - 1);
    // Crosswise, as nobody would choose who was not told.
    const claimed = (own: number, memoryMiB: number, hostCell: number, cpu: number) => ({
      ...{ cpus: [own], memoryMiB, hostCell, pageKiB: null, emulator: [] },
      pins: [{ guest: own, host: cpu }],
    });
    const guest = {
      ...plain,
      extraSpecs: {
        'hw:numa_nodes': '2',
        'hw:numa_cpus.0': '0',
        'hw:numa_mem.0': '96',
        'hw:numa_cpus.1': '1',
        'hw:numa_mem.1': '64',
        'hw:cpu_policy': 'dedicated',
        'hw:watchdog_action': 'none',
        'quota:disk_total_iops_sec': '5000',
      },
      imageProperties: { hw_pointer_model: 'usbtablet' },
      claimedCells: [claimed(0, 96, 1, last), claimed(1, 64, 0, 0)],
      localDisks: [disk('ephemeral', 16), disk('ephemeral', 24), disk('swap', 8)],
    };
    const text = await looked(guest);
    assert.match(text, /^nodes=0-1/m);
    assert.match(text, /^node node1 cpus=1 kB=[1-9]\d{4}\b/m);
    assert.match(text, /^pci 0000:00:03\.1 0x8086:0x25ab/m, 'the watchdog');
    assert.match(text, /^disk vdb sectors=32768/m);
    assert.match(text, /^disk vdc sectors=49152/m);
    assert.match(text, /^disk vdd sectors=16384/m);
    assert.match(text, /^firmware=bios/m);
    const known = await driver.guest(guest.uuid);
    assert.deepEqual(
      known?.cells?.cells.map(({ hostCell, memoryMiB, pins }) => [hostCell, memoryMiB, pins]),
      [
        [1, 96, [[0, last]]],
        [0, 64, [[1, 0]]],
      ],
    );
    const tasks = execFileSync('ps', ['-L', '-o', 'tid=,comm=', '-p', String(known?.pid)], { encoding: 'utf8' });
    const thread = (cpu: number) => /(\d+)/.exec(tasks.split('\n').find((line) => line.includes(`CPU ${cpu}/`)) ?? '')?.[1] ?? '';
    for (const cpu of [0, 1]) {
      const status: string = readFileSync(`/proc/${known?.pid}/task/${thread(cpu)}/status`, 'utf8');
      assert.equal(/^Cpus_allowed_list:\s+(\S+)/m.exec(status)?.[1], String(cpu === 0 ? last : 0));
    }
    await driver.removeDisks(guest.uuid);
  });

  test('inside: UEFI on a q35 machine, two sockets; a TPM; its variables are its own', async () => {
    const guest = {
      ...plain,
      uuid: newUuid(),
      extraSpecs: { 'hw:cpu_sockets': '2', 'hw:cpu_cores': '1' },
      imageProperties: {
        hw_firmware_type: 'uefi',
        hw_machine_type: 'q35',
        hw_input_bus: 'virtio',
        hw_tpm_version: '2.0',
        hw_tpm_model: 'tpm-crb',
      },
    };
    const text = await looked(guest);
    assert.match(text, /^firmware=efi/m);
    assert.match(text, /^packages=0 1/m);
    assert.match(text, /^tpms=1/m);
    const tpm = readFileSync(join(folder, 'state', 'instances', guest.uuid, 'tpm.pid'), 'utf8').trim();
    assert.ok(existsSync(`/proc/${tpm}`));
    const nvram = join(folder, 'state', 'instances', guest.uuid, 'nvram');
    assert.ok((await readFile(nvram)).length > 100_000);
    await driver.removeDisks(guest.uuid);
    await assert.rejects(readFile(nvram), { code: 'ENOENT' });
    await until(
      'the TPM ends with its machine',
      async () => existsSync(`/proc/${tpm}`),
      (there) => !there,
      10_000,
    );
  });

  test('a TPM goes with a guest that is off to another host, its secrets as they are, and nothing of it stays', async () => {
    const image = buttonGuest();
    const there = createQemuDriver({ hostname: 'host-2', stateDir: join(folder, 'there'), clock: systemClock, log: silentLog });
    await there.start();
    try {
      for (const one of [driver, there]) await one.fetchImage(image.ref, async () => Readable.from([image.bytes]), never);
      const guest = testGuest(image.ref, { memoryMiB: 64, rootGiB: 1, nics: [], imageProperties: { hw_tpm_version: '2.0' } });
      const secrets = (host: string) => join(folder, host, 'instances', guest.uuid, 'tpm', 'tpm2-00.permall');
      await driver.createDisks(guest);
      await driver.spawn(guest);
      await driver.powerOff(guest.uuid, 0);
      await driver.destroy(guest.uuid);
      const kept = await readFile(secrets('state'));
      const offer = await driver.offerDisks(guest.uuid);
      await there.fetchDisks(guest, offer, never, () => {});
      assert.ok((await readFile(secrets('there'))).equals(kept));
      await there.fetchDisks(guest, offer, never, () => {}); // safe twice
      await there.spawn(guest);
      assert.equal((await there.guest(guest.uuid))?.power, 'running');
      const pid = readFileSync(join(folder, 'there', 'instances', guest.uuid, 'tpm.pid'), 'utf8').trim();
      assert.ok(existsSync(`/proc/${pid}`));
      await driver.removeDisks(guest.uuid);
      assert.equal(existsSync(dirname(secrets('state'))), false);
      await there.removeDisks(guest.uuid);
      assert.equal(existsSync(dirname(secrets('there'))), false);
    } finally {
      for (const one of await there.guests()) await there.destroy(one.uuid);
      await there.close();
    }
  });

  test('CPU time: a group of its own while it runs, with the flavor’s words in it', { skip: requires('cpu-groups') }, async () => {
    const groups = findCpuGroups();
    assert.ok(groups);
    const image = buttonGuest();
    await driver.fetchImage(image.ref, async () => Readable.from([image.bytes]), never);
    const extraSpecs = { 'quota:cpu_quota': '20000', 'quota:cpu_period': '50000', 'quota:cpu_shares': '512' };
    const guest = testGuest(image.ref, { vcpus: 2, memoryMiB: 64, nics: [], extraSpecs });
    await driver.createDisks(guest);
    await driver.spawn(guest);
    const folder = join(groups.folder, `kilonova-${guest.uuid}`);
    const read = (name: string) => readFileSync(join(folder, name), 'utf8').trim();
    assert.equal(read('cgroup.procs'), String((await driver.guest(guest.uuid))?.pid));
    assert.deepEqual(
      groups.version === 1 ? [read('cpu.cfs_quota_us'), read('cpu.shares')] : [read('cpu.max')],
      groups.version === 1 ? ['40000', '512'] : ['40000 50000'],
    );
    await driver.removeDisks(guest.uuid);
    await until(
      'the group is gone',
      async () => existsSync(folder),
      (there) => !there,
      10_000,
    );
  });

  test('the host says what it can do', async () => {
    const { traits, numaTopology } = await driver.inventory();
    for (const trait of [
      'COMPUTE_FIRMWARE_UEFI',
      'COMPUTE_SECURITY_UEFI_SECURE_BOOT',
      'COMPUTE_SECURITY_TPM_2_0',
      'COMPUTE_STORAGE_BUS_USB',
    ])
      assert.ok(traits.includes(trait), trait);
    assert.ok(!traits.some((trait) => /SOUND|QUOTA_VIF/.test(trait)));
    assert.ok((numaTopology?.cells.length ?? 0) > 0);
  });
});
