import type { GuestNumbers } from '../../../bus/contracts/guest-numbers.ts';

/** The form of every hypervisor.  Spec: microversion 2.48. */
export const diagnosticsView = (numbers: GuestNumbers) => ({
  state: numbers.state,
  // Clients know the names of Nova's drivers only; ours speak for QEMU as that one does.
  driver: 'libvirt',
  hypervisor: numbers.hypervisor,
  hypervisor_os: numbers.hypervisorOs,
  uptime: numbers.uptime,
  config_drive: numbers.configDrive,
  num_cpus: numbers.cpus.length,
  num_nics: numbers.nics.length,
  num_disks: numbers.disks.length,
  memory_details: { maximum: numbers.memoryMaxMiB, used: numbers.memoryUsedMiB },
  cpu_details: numbers.cpus.map(({ id, time, utilisation }) => ({ id, time, utilisation })),
  nic_details: numbers.nics.map((nic) => ({
    mac_address: nic.mac,
    rx_octets: nic.rxOctets,
    rx_errors: nic.rxErrors,
    rx_drop: nic.rxDrop,
    rx_packets: nic.rxPackets,
    rx_rate: nic.rxRate,
    tx_octets: nic.txOctets,
    tx_errors: nic.txErrors,
    tx_drop: nic.txDrop,
    tx_packets: nic.txPackets,
    tx_rate: nic.txRate,
  })),
  disk_details: numbers.disks.map((disk) => ({
    read_bytes: disk.readBytes,
    read_requests: disk.readRequests,
    write_bytes: disk.writeBytes,
    write_requests: disk.writeRequests,
    errors_count: disk.errors,
  })),
});

/** The flat form that libvirt's users know; memory in KiB. What is not known is left out. */
export function oldDiagnosticsView(numbers: GuestNumbers): Record<string, number> {
  const flat: Record<string, number> = {};
  for (const { id, time } of numbers.cpus) if (time !== null) flat[`cpu${id}_time`] = time;
  if (numbers.memoryMaxMiB !== null) flat.memory = numbers.memoryMaxMiB * 1024;
  if (numbers.memoryUsedMiB !== null) flat['memory-actual'] = numbers.memoryUsedMiB * 1024;
  for (const disk of numbers.disks) {
    flat[`${disk.device}_read_req`] = disk.readRequests;
    flat[`${disk.device}_read`] = disk.readBytes;
    flat[`${disk.device}_write_req`] = disk.writeRequests;
    flat[`${disk.device}_write`] = disk.writeBytes;
    flat[`${disk.device}_errors`] = disk.errors;
  }
  for (const [at, nic] of numbers.nics.entries()) {
    const card = `vnet${at + 1}`;
    const counts = {
      rx: nic.rxOctets,
      rx_drop: nic.rxDrop,
      rx_errors: nic.rxErrors,
      rx_packets: nic.rxPackets,
      tx: nic.txOctets,
      tx_drop: nic.txDrop,
      tx_errors: nic.txErrors,
      tx_packets: nic.txPackets,
    };
    for (const [name, count] of Object.entries(counts)) if (count !== null) flat[`${card}_${name}`] = count;
  }
  return flat;
}
