/** What a known extra spec may say; checked from microversion 2.86 on. */
type Rule = (value: string) => string | undefined;

const anything: Rule = () => undefined;
const yesOrNo: Rule = (value) =>
  /^(t|true|on|y|yes|1|f|false|off|n|no|0)$/i.test(value.trim()) ? undefined : 'must be a boolean, such as true or false';
const word =
  (...words: string[]): Rule =>
  (value) =>
    words.includes(value) ? undefined : `must be one of ${words.join(', ')}`;
const whole =
  (least?: number, most?: number): Rule =>
  (value) => {
    if (!/^\s*[+-]?\d{1,18}\s*$/.test(value)) return 'must be a whole number';
    if (least !== undefined && Number(value) < least) return `must be at least ${least}`;
    return most !== undefined && Number(value) > most ? `must be at most ${most}` : undefined;
  };
const form =
  (pattern: RegExp, what: string): Rule =>
  (value) =>
    pattern.test(value) ? undefined : `must be ${what}`;

const cpuSet = form(/^\^?\d+(-\d+)?(,\^?\d+(-\d+)?)*$/, 'a set of CPUs, such as 0-3,^1');

/** Names without variable parts.  Spec: compute configuration reference "Extra Specs". */
const named: Readonly<Record<string, Rule>> = {
  'accel:device_profile': anything,
  group_policy: word('isolate', 'none'),
  hide_hypervisor_id: yesOrNo,
  'hw:boot_menu': yesOrNo,
  'hw:cpu_cores': whole(1),
  'hw:cpu_dedicated_mask': cpuSet,
  'hw:cpu_max_cores': whole(1),
  'hw:cpu_max_sockets': whole(1),
  'hw:cpu_max_threads': whole(1),
  'hw:cpu_policy': word('dedicated', 'shared', 'mixed'),
  'hw:cpu_realtime': yesOrNo,
  'hw:cpu_realtime_mask': cpuSet,
  'hw:cpu_sockets': whole(1),
  'hw:cpu_thread_policy': word('prefer', 'isolate', 'require'),
  'hw:cpu_threads': whole(1),
  'hw:emulator_threads_policy': word('isolate', 'share'),
  'hw:ephemeral_encryption': yesOrNo,
  'hw:ephemeral_encryption_format': word('plain', 'luks', 'luksv2'),
  'hw:hide_hypervisor_id': yesOrNo,
  'hw:locked_memory': yesOrNo,
  'hw:mem_encryption': yesOrNo,
  'hw:mem_encryption_model': word('amd-sev', 'amd-sev-es', 'amd-sev-snp'),
  'hw:mem_page_size': form(/^(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)$/, 'large, small, any or a size such as 2MiB'),
  'hw:numa_nodes': whole(1),
  'hw:pci_numa_affinity_policy': word('required', 'preferred', 'legacy', 'socket'),
  'hw:pmem': form(/^(\w+,?)+$/, 'a list of labels'),
  'hw:pmu': yesOrNo,
  'hw:redirected_usb_ports': whole(0, 15),
  'hw:serial_port_count': whole(0),
  'hw:sound_model': word('sb16', 'es1370', 'pcspk', 'ac97', 'ich6', 'ich9', 'usb', 'virtio'),
  'hw:tpm_model': word('tpm-tis', 'tpm-crb'),
  'hw:tpm_secret_security': word('user', 'host', 'deployment'),
  'hw:tpm_version': word('1.2', '2.0'),
  'hw:usb_model': word('none', 'piix3-uhci', 'piix4-uhci', 'ehci', 'ich9-ehci1', 'vt82c686b-uhci', 'pci-ohci', 'nec-xhci', 'qemu-xhci'),
  'hw:vif_multiqueue_enabled': yesOrNo,
  'hw:viommu_model': word('intel', 'smmuv3', 'virtio', 'auto'),
  'hw:virtio_packed_ring': yesOrNo,
  'hw:watchdog_action': word('none', 'pause', 'poweroff', 'reset', 'disabled'),
  'hw_rng:allowed': yesOrNo,
  'hw_rng:rate_bytes': whole(0),
  'hw_rng:rate_period': whole(0),
  'hw_video:ram_max_mb': whole(0),
  'os:secure_boot': word('required', 'disabled'),
  'pci_passthrough:alias': form(/^[^:]+:\d+(\s*,\s*[^:]+:\d+)*$/, 'a list of alias:count'),
  'quota:cpu_limit': whole(0),
  'quota:cpu_period': whole(0),
  'quota:cpu_quota': whole(),
  'quota:cpu_reservation': whole(),
  'quota:cpu_shares': whole(0),
  'quota:cpu_shares_level': word('low', 'normal', 'high', 'custom'),
  'quota:cpu_shares_share': whole(0),
  'vmware:hw_version': anything,
  'vmware:storage_policy': anything,
};

const words = (text: string) => text.split(' ');
/** What a scheduler knows of a host and an extra spec may ask for: plain fields, and those with fields of their own. */
const HOST_FIELDS = [
  ...words('id uuid service_id host vcpus memory_mb local_gb vcpus_used memory_mb_used local_gb_used hypervisor_type hypervisor_version'),
  ...words('hypervisor_hostname free_ram_mb free_disk_gb current_workload running_vms disk_available_least host_ip mapped'),
  ...words('cpu_allocation_ratio ram_allocation_ratio disk_allocation_ratio total_usable_ram_mb total_usable_disk_gb disk_mb_used'),
  ...words('free_disk_mb vcpus_total num_instances num_io_ops failed_builds aggregates cell_uuid updated'),
];
const HOST_OBJECTS = words(
  'cpu_info metrics stats numa_topology supported_hv_specs pci_device_pools nodename pci_stats supported_instances limits instances',
);
/** Standard resource classes.  Spec: os-resource-classes. */
const CLASSES = [
  ...words('VCPU MEMORY_MB DISK_GB PCI_DEVICE SRIOV_NET_VF NUMA_SOCKET NUMA_CORE NUMA_THREAD NUMA_MEMORY_MB IPV4_ADDRESS VGPU'),
  ...words('VGPU_DISPLAY_HEAD NET_BW_EGR_KILOBIT_PER_SEC NET_BW_IGR_KILOBIT_PER_SEC PCPU MEM_ENCRYPTION_CONTEXT FPGA PGPU'),
  ...words('NET_PACKET_RATE_KILOPACKET_PER_SEC NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC'),
];

/** Names with a variable part, tried in order. */
const patterned: readonly (readonly [RegExp, Rule])[] = [
  [/^aggregate_instance_extra_specs:.+$/, anything],
  [new RegExp(`^capabilities:(${HOST_FIELDS.join('|')})$`), anything],
  [new RegExp(`^capabilities:(${HOST_OBJECTS.join('|')})(:\\w+)*$`), anything],
  [/^hw:numa_cpus\.\d+$/, cpuSet],
  [/^hw:numa_mem\.\d+$/, whole(1)],
  [/^quota:(disk_io|memory|vif)_(limit|shares_share)$/, whole(0)],
  [/^quota:(disk_io|memory|vif)_reservation$/, whole()],
  [/^quota:(disk_io|memory|vif)_shares_level$/, word('low', 'normal', 'high', 'custom')],
  [/^quota:disk_(read|write|total)_(bytes|iops)_sec$/, whole(0)],
  [/^quota:vif_(inbound|outbound)_(average|burst|peak)$/, whole(0)],
  [new RegExp(`^resources([a-zA-Z0-9_-]{1,64})?:(${CLASSES.join('|')}|CUSTOM_[A-Z0-9_]+)$`), whole(0)],
  [/^trait([a-zA-Z0-9_-]{1,64})?:(COMPUTE|CUSTOM|HW|MISC|OWNER|STORAGE)_[A-Z0-9_]+$/, word('required', 'forbidden')],
];

const NAMESPACES =
  /^(accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|resources([a-zA-Z0-9_-]{1,64})?|trait([a-zA-Z0-9_-]{1,64})?|vmware)$/;

/** What is wrong with an extra spec, or undefined. Names outside the known namespaces are the operator's own and always right. */
export function whyExtraSpecIsWrong(key: string, value: string): string | undefined {
  const rule = Object.hasOwn(named, key) ? named[key] : patterned.find(([pattern]) => pattern.test(key))?.[1];
  if (rule) {
    const why = rule(value);
    return why && `Validation failed; extra spec '${key}' with value '${value}' ${why}.`;
  }
  const [namespace = '', rest] = key.split(':', 2);
  if (rest === undefined || !NAMESPACES.test(namespace)) return undefined;
  return `Validation failed; extra spec '${key}' does not appear to be a valid extra spec.`;
}
