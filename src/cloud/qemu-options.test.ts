import assert from 'node:assert/strict';
import { test } from 'node:test';
import { options, type Settings } from './options.ts';
import { qemuOptions } from './qemu-options.ts';

const usual = Object.fromEntries(Object.entries(options).map(([key, one]) => [key, one.default])) as unknown as Settings; // as a config without a line
const of = (more: Partial<Settings>) => qemuOptions({ ...usual, ...more });

test('images_type and its companions, by their old and new words', () => {
  assert.deepEqual(of({}).disks, { type: 'qcow2', preallocate: false, lvm: null });
  assert.equal(of({ cowImages: false }).disks?.type, 'raw');
  assert.equal(of({ imagesType: 'flat' }).disks?.type, 'raw');
  assert.deepEqual(of({ imagesType: 'lvm', volumeGroup: 'vg', volumeClear: 'shred', volumeClearSize: 8, sparseVolumes: true }).disks?.lvm, {
    group: 'vg',
    sparse: true,
    clear: 'shred',
    clearMiB: 8,
  });
  assert.throws(() => of({ imagesType: 'lvm' }), /needs images_volume_group/);
  assert.throws(() => of({ imagesType: 'rbd' }), /images_type = rbd is not served. Served: default, qcow2, raw, flat, lvm/);
  assert.throws(() => of({ volumeClear: 'burn' }), /volume_clear = burn/);
  assert.throws(() => of({ configDriveFormat: 'udf' }), /config_drive_format = udf/);
});

test('sets of CPUs; what is none is told with the name of the option', () => {
  assert.deepEqual([...(of({ cpuSharedSet: '0-3,^2' }).cpus?.shared ?? [])], [0, 1, 3]);
  assert.equal(of({}).cpus?.dedicated, null);
  assert.throws(() => of({ cpuDedicatedSet: 'all' }), /\[compute\] cpu_dedicated_set = all/);
});
