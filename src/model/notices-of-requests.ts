import { flavorFigures, flavorPayload, novaObject } from './notices.ts';
import type { Flavor, ImageSnapshot, Server } from './server.ts';

/** What is asked of a scheduler beside the server itself. */
export interface PlaceAsked {
  readonly flavor?: Flavor;
  readonly availabilityZone?: string | null;
  readonly forcedHost: string | null;
  readonly forcedNode: string | null;
  readonly requestedHost: string | null;
  readonly requestedNode: string | null;
  /** Hosts on which a build failed, or which the server shall leave. */
  readonly excludedHosts: readonly string[];
  readonly group: {
    readonly uuid: string;
    readonly policy: string;
    readonly maxPerHost: number;
    /** Members by host. */
    readonly hosts: Readonly<Record<string, number>>;
  } | null;
}

const numbers = new Set(
  'cpu_cores cpu_sockets cpu_max_cores cpu_max_sockets cpu_max_threads cpu_threads device_id numa_nodes serial_port_count video_ram maxphysaddr_bits redirected_usb_ports'
    .split(' ')
    .map((word) => `hw_${word}`)
    .concat('img_compression_level', 'img_version'),
);
const yesNos = new Set(
  'boot_menu firmware_stateless ipxe_boot locked_memory mem_encryption pmu qemu_guest_agent time_hpet vif_multiqueue_enabled ephemeral_encryption virtio_packed_ring'
    .split(' ')
    .map((word) => `hw_${word}`)
    .concat('img_bittorrent img_bdm_v2 img_cache_in_nova img_linked_clone img_use_agent img_hide_hypervisor_id'.split(' '))
    .concat('os_require_quiesce os_skip_agent_inject_files_at_boot os_skip_agent_inject_ssh'.split(' ')),
);
const words = new Set(
  'architecture emulation_architecture cdrom_bus cpu_policy cpu_thread_policy disk_bus floppy_bus firmware_type input_bus mem_encryption_model pci_numa_affinity_policy pointer_model rescue_bus rescue_device rng_model scsi_model video_model vif_model viommu_model vm_mode watchdog_action tpm_model tpm_version ephemeral_encryption_format maxphysaddr_mode sound_model usb_model auto_disk_config cpu_realtime_mask disk_type machine_type mem_page_size'
    .split(' ')
    .map((word) => `hw_${word}`)
    .concat('img_hv_type img_config_drive img_signature_hash_method img_signature_key_type img_owner_id img_root_device_name'.split(' '))
    .concat('img_signature img_hv_requested_version img_signature_certificate_uuid'.split(' '))
    .concat('os_secure_boot os_type os_admin_user os_command_line os_distro'.split(' ')),
);

/** Only what Nova knows of, as the type it has there.  Spec: notification object ImageMetaPropsPayload 1.19. */
function imageProperties(given: Readonly<Record<string, string>>): object {
  const { architecture } = given;
  const all = Object.entries({ ...(architecture === undefined ? {} : { hw_architecture: architecture }), ...given });
  return Object.fromEntries(
    all.flatMap(([name, value]): [string, unknown][] => {
      if (words.has(name)) return [[name, value]];
      if (yesNos.has(name)) return [[name, /^(true|yes|on|1)$/i.test(value)]];
      return numbers.has(name) && Number.isSafeInteger(Number(value)) ? [[name, Number(value)]] : [];
    }),
  );
}

/** Spec: notification object ImageMetaPayload 1.0. What the image service alone knows is null. */
const imagePayload = (image: ImageSnapshot | null) =>
  novaObject('ImageMetaPayload', '1.0', {
    id: image?.id ?? null,
    name: image?.name ?? null,
    status: image ? 'active' : null,
    visibility: null,
    protected: null,
    checksum: null,
    owner: null,
    size: image?.sizeBytes ?? null,
    virtual_size: null,
    container_format: image?.containerFormat ?? null,
    disk_format: image?.diskFormat ?? null,
    created_at: null,
    updated_at: null,
    tags: null,
    direct_url: null,
    min_ram: image?.minMemoryMiB ?? null,
    min_disk: image?.minDiskGiB ?? null,
    properties: novaObject('ImageMetaPropsPayload', '1.19', imageProperties(image?.properties ?? {})),
  });

/** As far as a scheduler knows it.  Spec: notification object ServerGroupPayload 1.1. */
const groupPayload = ({ uuid, policy, maxPerHost, hosts }: NonNullable<PlaceAsked['group']>, server: Server) =>
  novaObject('ServerGroupPayload', '1.1', {
    uuid,
    name: null,
    project_id: server.projectId,
    user_id: server.userId,
    policies: [policy],
    policy,
    rules: policy === 'anti-affinity' ? { max_server_per_host: String(maxPerHost) } : {},
    members: null,
    hosts: Object.keys(hosts),
  });

/** Spec: notification object RequestSpecPayload 1.1. */
export const requestSpecPayload = (server: Server, asked: PlaceAsked) =>
  novaObject('RequestSpecPayload', '1.1', {
    instance_uuid: server.uuid,
    project_id: server.projectId,
    user_id: server.userId,
    availability_zone: asked.availabilityZone === undefined ? server.availabilityZone : asked.availabilityZone,
    flavor: flavorPayload(asked.flavor ?? server.flavor),
    force_hosts: asked.forcedHost,
    force_nodes: asked.forcedNode,
    ignore_hosts: asked.excludedHosts.length === 0 ? null : asked.excludedHosts,
    image: imagePayload(server.image),
    instance_group: asked.group && groupPayload(asked.group, server),
    numa_topology: null,
    pci_requests: novaObject('InstancePCIRequestsPayload', '1.0', { instance_uuid: server.uuid, requests: [] }),
    num_instances: 1,
    requested_destination:
      asked.requestedHost === null
        ? null
        : novaObject('DestinationPayload', '1.0', { host: asked.requestedHost, node: asked.requestedNode, cell: null, aggregates: null }),
    retry: null,
    scheduler_hints: Object.fromEntries(
      Object.entries(server.schedulerHints).map(([name, value]) => [name, (Array.isArray(value) ? value : [value]).map(String)]),
    ),
    security_groups: server.securityGroups,
  });

/** The same for telemetry: plain and flat. */
export const legacyRequestSpec = (server: Server, { flavor = server.flavor }: PlaceAsked) => ({
  request_spec: {
    image: server.image && {
      id: server.image.id,
      name: server.image.name,
      disk_format: server.image.diskFormat,
      properties: server.image.properties,
    },
    instance_type: flavorFigures(flavor),
    instance_properties: {
      uuid: server.uuid,
      project_id: server.projectId,
      user_id: server.userId,
      availability_zone: server.availabilityZone,
      vcpus: flavor.vcpus,
      memory_mb: flavor.memoryMiB,
      root_gb: flavor.rootGiB,
      ephemeral_gb: flavor.ephemeralGiB,
    },
    num_instances: 1,
  },
});
