import { testVolume } from '../../../test/contracts/driver.ts';
import type { GuestSpec } from '../driver.ts';

type Make = (extraSpecs: Record<string, string>, imageProperties?: Record<string, string>, more?: Partial<GuestSpec>) => GuestSpec;

/** Guests with one wish each, by name; `volumeFile` is what a volume of theirs stands on. Shared by the golden test and the one that shows them to QEMU. */
export function machineWishes(guest: Make, volumeFile: string): Record<string, GuestSpec> {
  const drive = { configDrive: { 'openstack/latest/meta_data.json': '' } };
  const qos = { read_iops_sec: '9', consumer: 'front-end' };
  const connection = { driver_volume_type: 'file', data: { device_path: volumeFile, qos_specs: qos } };
  const volume = { ...testVolume(connection), volumeId: '11111111-2222-4333-8444-555555555555' };
  return {
    'hw:cpu_sockets=1, hw:cpu_threads=2': guest({ 'hw:cpu_sockets': '1', 'hw:cpu_threads': '2' }),
    'hw_cpu_max_sockets=2 (image)': guest({}, { hw_cpu_max_sockets: '2' }),
    'hw:numa_nodes=2': guest({ 'hw:numa_nodes': '2' }),
    'hw:numa_nodes=2, uneven': guest({
      'hw:numa_nodes': '2',
      'hw:numa_cpus.0': '0,2-3',
      'hw:numa_mem.0': '384',
      'hw:numa_cpus.1': '1',
      'hw:numa_mem.1': '128',
    }),
    'hw:mem_page_size=large, hw:locked_memory': guest({ 'hw:mem_page_size': 'large', 'hw:locked_memory': 'true' }),
    'hw:cpu_policy=dedicated': guest({ 'hw:cpu_policy': 'dedicated' }),
    'hw_machine_type=pc-i440fx-7.2': guest({}, { hw_machine_type: 'pc-i440fx-7.2' }),
    'hw_firmware_type=uefi': guest({}, { hw_firmware_type: 'uefi' }),
    'hw_firmware_type=uefi, stateless': guest({}, { hw_firmware_type: 'uefi', hw_firmware_stateless: 'true' }),
    'os:secure_boot=required': guest({ 'os:secure_boot': 'required' }, { hw_firmware_type: 'uefi' }),
    'hw:watchdog_action=reset': guest({ 'hw:watchdog_action': 'reset' }),
    'hw_watchdog_action=poweroff (image), q35': guest({}, { hw_watchdog_action: 'poweroff', hw_machine_type: 'q35' }),
    'hw_rng:allowed=False': guest({ 'hw_rng:allowed': 'False' }),
    'hw_rng:rate_bytes=1024': guest({ 'hw_rng:rate_bytes': '1024', 'hw_rng:rate_period': '500' }),
    'quota:disk_*': guest({ 'quota:disk_total_bytes_sec': '1048576', 'quota:disk_read_iops_sec': '100' }),
    'a volume with limits of its own': guest({ 'quota:disk_total_iops_sec': '5' }, {}, { volumes: [volume] }),
    'hw_video_model=cirrus, hw_video_ram=8': guest({ 'hw_video:ram_max_mb': '16' }, { hw_video_model: 'cirrus', hw_video_ram: '8' }),
    'hw_video_model=none': guest({}, { hw_video_model: 'none' }),
    'hw_pointer_model=usbtablet': guest({}, { hw_pointer_model: 'usbtablet' }),
    'hw_input_bus=virtio, watchdog': guest({ 'hw:watchdog_action': 'none' }, { hw_input_bus: 'virtio' }),
    'hw:tpm_version=2.0, tpm-crb': guest({ 'hw:tpm_version': '2.0', 'hw:tpm_model': 'tpm-crb' }),
    'hw_tpm_version=1.2 (image)': guest({}, { hw_tpm_version: '1.2' }),
    'hw:boot_menu': guest({ 'hw:boot_menu': 'true' }),
    'hw_time_hpet=false, hw:pmu=false, hidden': guest({ 'hw:pmu': 'false', 'hw:hide_hypervisor_id': 'true' }, { hw_time_hpet: 'false' }),
    'hw:maxphysaddr_mode=emulate': guest({ 'hw:maxphysaddr_mode': 'emulate', 'hw:maxphysaddr_bits': '42' }),
    'hw_disk_bus=scsi, hw_cdrom_bus=scsi': guest({}, { hw_disk_bus: 'scsi', hw_scsi_model: 'virtio-scsi', hw_cdrom_bus: 'scsi' }, drive),
    'hw_cdrom_bus=ide': guest({}, { hw_cdrom_bus: 'ide' }, drive),
    'hw_disk_bus=usb': guest({}, { hw_disk_bus: 'usb' }),
    'three ephemeral disks': guest(
      {},
      {},
      {
        localDisks: [1, 2, 3].map((sizeMiB) => ({ kind: 'ephemeral' as const, sizeMiB, format: null, device: null })),
      },
    ),
  };
}
