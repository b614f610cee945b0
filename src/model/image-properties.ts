import { truth } from './numa/constraints.ts';
import { parseCpus } from './numa/cpu-spec.ts';
import { pythonInt } from './python.ts';

/** Image properties that Nova knows, by their types.  Spec: fields of Nova's ImageMetaProps. Others do not reach filters. */
const words = `hw_architecture hw_emulation_architecture hw_auto_disk_config hw_cdrom_bus hw_cpu_policy hw_cpu_thread_policy hw_cpu_realtime_mask
hw_disk_bus hw_disk_type hw_floppy_bus hw_firmware_type hw_input_bus hw_machine_type hw_mem_encryption_model hw_mem_page_size
hw_pci_numa_affinity_policy hw_pointer_model hw_rescue_bus hw_rescue_device hw_rng_model hw_scsi_model hw_video_model hw_vif_model hw_viommu_model
hw_vm_mode hw_watchdog_action hw_tpm_model hw_tpm_version hw_ephemeral_encryption_format hw_ephemeral_encryption_secret_uuid hw_maxphysaddr_mode
hw_sound_model hw_usb_model img_hv_requested_version img_hv_type img_config_drive img_owner_id img_root_device_name img_signature
img_signature_hash_method img_signature_certificate_uuid img_signature_key_type os_admin_user os_command_line os_distro os_secure_boot os_type`;
const numbers = `hw_cpu_cores hw_cpu_sockets hw_cpu_max_cores hw_cpu_max_sockets hw_cpu_max_threads hw_cpu_threads hw_device_id hw_numa_nodes
hw_serial_port_count hw_video_ram hw_maxphysaddr_bits hw_redirected_usb_ports img_compression_level img_version`;
const flags = `hw_boot_menu hw_firmware_stateless hw_ipxe_boot hw_locked_memory hw_mem_encryption hw_pmu hw_qemu_guest_agent hw_time_hpet
hw_vif_multiqueue_enabled hw_ephemeral_encryption hw_virtio_packed_ring img_bittorrent img_bdm_v2 img_cache_in_nova img_linked_clone img_use_agent
img_hide_hypervisor_id os_require_quiesce os_skip_agent_inject_files_at_boot os_skip_agent_inject_ssh`;
const kinds: ReadonlyMap<string, (text: string) => unknown> = new Map([
  ...words.split(/\s+/).map((name) => [name, (text: string) => text] as const),
  ...numbers.split(/\s+/).map((name) => [name, whole] as const),
  ...flags.split(/\s+/).map((name) => [name, (text: string) => truth(text)] as const),
]);
/** A number that is none stays the text it is: the API refuses such images where the number matters. */
function whole(text: string): unknown {
  try {
    return pythonInt(text);
  } catch {
    return text;
  }
}

/** Older names of properties. */
const older: Readonly<Record<string, string>> = {
  architecture: 'hw_architecture',
  owner_id: 'img_owner_id',
  vmware_disktype: 'hw_disk_type',
  vmware_image_version: 'img_version',
  vmware_ostype: 'os_distro',
  auto_disk_config: 'hw_auto_disk_config',
  ipxe_boot: 'hw_ipxe_boot',
  xenapi_device_id: 'hw_device_id',
  xenapi_image_compression_level: 'img_compression_level',
  vmware_linked_clone: 'img_linked_clone',
  xenapi_use_agent: 'img_use_agent',
  xenapi_skip_agent_inject_ssh: 'os_skip_agent_inject_ssh',
  xenapi_skip_agent_inject_files_at_boot: 'os_skip_agent_inject_files_at_boot',
  cache_in_nova: 'img_cache_in_nova',
  vm_mode: 'hw_vm_mode',
  bittorrent: 'img_bittorrent',
  bdm_v2: 'img_bdm_v2',
  root_device_name: 'img_root_device_name',
  hypervisor_version_requires: 'img_hv_requested_version',
  hypervisor_type: 'img_hv_type',
};

/** An image's own properties as filters read them: the known ones, under their present names, with the values' types. */
export function typedProperties(raw: Readonly<Record<string, string>>): Readonly<Record<string, unknown>> {
  const typed: Record<string, unknown> = {};
  const traits: string[] = [];
  for (const [key, value] of Object.entries(raw)) {
    const name = Object.hasOwn(older, key) ? older[key]! : key;
    const read = kinds.get(name);
    if (read && (name === key || !Object.hasOwn(raw, name))) typed[name] = read(value);
    if (key.startsWith('trait:') && value === 'required') traits.push(key.slice('trait:'.length));
  }
  const cpus = listed(raw, 'hw_numa_cpus', (text) => [...parseCpus(text)]);
  const memory = listed(raw, 'hw_numa_mem', pythonInt);
  if (cpus) typed.hw_numa_cpus = cpus;
  if (memory) typed.hw_numa_mem = memory;
  if (traits.length > 0) typed.traits_required = traits;
  return typed;
}
function listed<T>(raw: Readonly<Record<string, string>>, name: string, read: (text: string) => T): T[] | null {
  const list: T[] = [];
  for (let at = 0; raw[`${name}.${at}`] !== undefined; at++) list.push(read(raw[`${name}.${at}`]!));
  return list.length > 0 ? list : null;
}
