import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testGuest } from '../../../test/contracts/driver.ts';
import type { GuestNic, GuestSpec, ImageRef } from '../driver.ts';
import { type CommandLineParts, commandLine } from './command-line.ts';
import { disksOf } from './disks.ts';
import { guestPaths, shortSocketFolder } from './guest-paths.ts';
import { planNetwork } from './network-plan.ts';
import { freshSlots } from './slots.ts';

const golden = fileURLToPath(new URL('../../../test/golden/qemu/command-lines.txt', import.meta.url));
const image: ImageRef = { id: 'an-image', diskFormat: 'qcow2', sizeBytes: 1, hashAlgo: 'sha512', hashValue: 'f'.repeat(128) };
const nic = (address: string, cidr: string, more: Partial<GuestNic> = {}): GuestNic => ({
  portId: 'a-port',
  networkId: 'a-network',
  mac: 'fa:16:3e:00:00:01',
  mtu: 1500,
  addresses: [{ address, cidr, gateway: null }],
  nameServers: [],
  ...more,
});
const guest = (more: Partial<GuestSpec>): GuestSpec =>
  testGuest(image, { uuid: '00000000-1111-2222-3333-444444444444', name: 'instance-00000001', ...more });
function argv(spec: GuestSpec, more: Partial<CommandLineParts> = {}): string[] {
  const paths = guestPaths('/state', spec.uuid);
  const forwards = [{ guestPort: 22, hostAddress: '127.0.0.1', hostPort: 40022 }];
  const disks = disksOf(spec, paths, '/state/images/base');
  return commandLine({
    spec,
    paths,
    disks,
    kernel: null,
    network: planNetwork(spec),
    slots: freshSlots(spec),
    acceleration: 'tcg',
    forwards,
    ...more,
  });
}

describe('command line', () => {
  test('golden: each sort of guest', () => {
    const one = nic('172.24.3.7', '172.24.0.0/16', {
      addresses: [{ address: '172.24.3.7', cidr: '172.24.0.0/16', gateway: '172.24.0.1' }],
      nameServers: ['172.24.0.2'],
    });
    const cases: Record<string, string[]> = {
      'one card, metadata, forward': argv(guest({ nics: [one], metadataSocket: '/run/metadata.sock' })),
      'direct kernel boot on KVM, 2 CPUs': argv(guest({ vcpus: 2, memoryMiB: 2048 }), {
        acceleration: 'kvm',
        kernel: { file: '/state/images/kernel', initrd: '/state/images/initrd', append: 'console=ttyS0' },
      }),
      'q35, ide, e1000, no screen, all disks, no card': argv(
        guest({
          ephemeralGiB: 1,
          swapMiB: 64,
          configDrive: { 'openstack/latest/meta_data.json': '' },
          imageProperties: { hw_machine_type: 'q35', hw_disk_bus: 'ide', hw_vif_model: 'e1000', hw_video_model: 'none' },
        }),
      ),
      'two cards, the second without an address': argv(guest({ nics: [one, { ...one, mac: 'fa:16:3e:00:00:02', addresses: [] }] })),
    };
    const text = Object.entries(cases)
      .map(([name, args]) => `# ${name}${args.map((arg) => (arg.startsWith('-') ? `\n${arg}` : ` ${arg}`)).join('')}\n`)
      .join('\n');
    if (process.env.GOLDEN === 'write') {
      mkdirSync(dirname(golden), { recursive: true });
      writeFileSync(golden, text);
    }
    assert.equal(text, readFileSync(golden, 'utf8'));
  });

  test('what an image asks for and this host cannot is refused by name, never passed on', () => {
    const wish = (imageProperties: Record<string, string>) => () =>
      argv(guest({ imageProperties, nics: [nic('172.16.0.9', '172.16.0.0/24')] }));
    assert.throws(wish({ hw_machine_type: 'virt' }), { code: 'guest.image_unusable' });
    assert.throws(wish({ hw_machine_type: 'pc,kernel=/etc/shadow' }), { code: 'guest.image_unusable' });
    assert.throws(wish({ hw_disk_bus: 'floppy' }), /hw_disk_bus=floppy is not one of virtio, scsi, ide, sata/);
    assert.throws(wish({ hw_vif_model: 'constructor' }), /hw_vif_model=constructor/);
  });

  test('commas, colons, spaces and quotes in paths stay inside their values', () => {
    const args = argv(guest({ nics: [nic('172.16.0.9', '172.16.0.0/24')], metadataSocket: "/it's a, dir:x/m.sock" }));
    const netdev = args[args.indexOf('-netdev') + 1] ?? '';
    assert.ok(netdev.includes(`cmd:socat - 'UNIX-CONNECT:/it\\'\\''s a\\,, dir\\:x/m.sock'`), netdev);
    assert.ok(argv(guest({ name: 'a,id=b' })).includes('guest=a,,id=b,debug-threads=on'));
  });
});

describe('network plan', () => {
  const plan = (nics: GuestNic[], more: { metadata?: boolean; drive?: boolean } = {}) =>
    planNetwork({ nics, configDrive: more.drive ? {} : null, metadataSocket: more.metadata ? '/m.sock' : null });

  test('a subnet of 172.16.0.0/12 has all on one card', () => {
    const { nics, warnings } = plan([nic('172.31.255.7', '172.31.255.0/24')], { metadata: true });
    const { ipv4 } = nics[0]!;
    assert.deepEqual([ipv4?.net, ipv4?.metadata, ipv4?.forwards, warnings.length], ['160.0.0.0/4', true, true, 0]);
    assert.deepEqual(new Set([ipv4?.address, ipv4?.router, ipv4?.nameServer]).size, 3);
  });

  test('another subnet needs a config drive, or is refused with the reason', () => {
    assert.throws(
      () => plan([nic('10.0.0.5', '10.0.0.0/24')], { metadata: true }),
      /10\.0\.0\.0\/24.*outside 172\.16\.0\.0\/12.*config drive/,
    );
    const { nics, warnings } = plan([nic('10.0.0.5', '10.0.0.0/24')], { metadata: true, drive: true });
    assert.deepEqual([nics[0]?.ipv4?.net, nics[0]?.ipv4?.metadata, warnings.length], ['10.0.0.0/24', false, 1]);
  });

  test("the guest's own address is never the router's nor the name server's", () => {
    const own = nic('172.16.0.254', '172.16.0.0/24', {
      addresses: [{ address: '172.16.0.254', cidr: '172.16.0.0/24', gateway: '172.16.0.254' }],
      nameServers: ['172.16.0.254', '8.8.8.8'],
    });
    const { ipv4 } = plan([own]).nics[0]!;
    assert.deepEqual([ipv4?.address, ipv4?.router, ipv4?.nameServer], ['172.16.0.254', '172.16.0.253', '172.16.0.252']);
  });

  test('IPv6 alone, and a subnet with no room, are refused', () => {
    assert.throws(() => plan([nic('fd00::5', 'fd00::/64')]), { code: 'guest.network_unsupported' });
    assert.throws(() => plan([nic('172.16.0.1', '172.16.0.0/31')]), { code: 'guest.network_unsupported' });
  });
});

test('sockets go to a short folder when the state dir is too long for their names', () => {
  assert.equal(shortSocketFolder('/var/lib/kilonova'), undefined);
  const long = `/${'x'.repeat(90)}`;
  const paths = guestPaths(long, '00000000-1111-2222-3333-444444444444');
  assert.ok(Buffer.byteLength(paths.serialSocket) <= 107, paths.serialSocket);
  assert.ok(!paths.serialSocket.startsWith(long) && paths.record.startsWith(long));
  assert.notEqual(shortSocketFolder(long), shortSocketFolder(`${long}y`));
});
