import type { Database } from '../../src/db/engine.ts';
import { findFlavor } from '../../src/db/tables/compute/flavors.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { CELL_UUID } from '../../src/model/server.ts';
import { seedFlavors } from '../../src/services/compute-api/flavor-seeds.ts';
import { DEMO_PROJECT } from './compute-api.ts';

export const HOST_UUIDS = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'] as const;
export const SERVICE_UUIDS = [
  '31111111-1111-4111-8111-111111111111',
  '32222222-2222-4222-8222-222222222222',
  '33333333-3333-4333-8333-333333333333',
] as const;
export const SERVER_UUID = '41111111-1111-4111-8111-111111111111';

/** Two hosts (the first with one server on it, both alive now), a scheduler, and the flavors of a new cloud. */
export async function furnish(db: Database, clock: Clock): Promise<void> {
  const now = clock.now();
  await seedFlavors(db, clock);
  await db.transaction(async (tx) => {
    for (const [at, host] of ['host1', 'host2'].entries()) {
      await tx
        .insertInto('services')
        .values({
          ...{ uuid: SERVICE_UUIDS[at] ?? '', host, binary: 'nova-compute', topic: 'compute', zone: 'nova' },
          ...{ disabled: 0, disabled_reason: null, forced_down: 0, last_seen_at: now, report_count: 1, created_at: now, updated_at: now },
        })
        .execute();
      const service = await tx.selectFrom('services').select('id').where('host', '=', host).executeTakeFirstOrThrow();
      const uuid = HOST_UUIDS[at] ?? '';
      await tx
        .insertInto('hypervisors')
        .values({
          ...{ uuid, service_id: service.id, host, hypervisor_hostname: `${host}.example.org`, hypervisor_type: 'QEMU' },
          ...{ hypervisor_version: 7_002_022, host_ip: '192.0.2.1', supported_instances: '[]', traits: '[]', stats: '{}' },
          cpu_info: JSON.stringify({
            ...{ arch: 'x86_64', model: 'Nehalem', vendor: 'Intel', features: ['pge', 'clflush'] },
            topology: { cores: 1, threads: 1, sockets: 4 },
          }),
          ...{ vcpus: 4, memory_mib: 8192, disk_gib: 100, disk_free_gib: 90, agent_epoch: 1, created_at: now, updated_at: now },
          uptime: ' 08:32:11 up 93 days, 18:25, 12 users,  load average: 0.20, 0.12, 0.14',
        })
        .execute();
      for (const [resource_class, total, reserved, used] of [
        ['VCPU', 4, 0, at === 0 ? 1 : 0],
        ['MEMORY_MB', 8192, 512, at === 0 ? 512 : 0],
        ['DISK_GB', 100, 0, at === 0 ? 1 : 0],
      ] as const) {
        const limits = { min_unit: 1, max_unit: total, step_size: 1, allocation_ratio: 1, capacity: total - reserved };
        await tx
          .insertInto('inventories')
          .values({ provider_uuid: uuid, resource_class, total, reserved, used, ...limits })
          .execute();
      }
    }
    await tx
      .insertInto('services')
      .values({
        ...{ uuid: SERVICE_UUIDS[2], host: 'controller', binary: 'nova-scheduler', topic: 'scheduler', zone: 'internal' },
        ...{ disabled: 0, disabled_reason: null, forced_down: 0, last_seen_at: now, report_count: 1, created_at: now, updated_at: now },
      })
      .execute();
    await tx
      .insertInto('servers')
      .values({
        ...{ uuid: SERVER_UUID, reservation_id: 'r-1', project_id: DEMO_PROJECT, user_id: '2'.repeat(32), name: 'one', hostname: 'one' },
        ...{ vm_state: 'active', power_state: 1, progress: 0, host: 'host1', node: 'host1.example.org', cell_uuid: CELL_UUID, epoch: 1 },
        ...{
          flavor_id: '1',
          flavor: JSON.stringify(await findFlavor(tx, '1')),
          config_drive: '',
          disk_config: 'AUTO',
          launch_index: 0,
          metadata: '{}',
        },
        ...{ requested_networks: '"none"', security_groups: '[]', network_info: '[]', block_devices: '[]', scheduler_hints: '{}' },
        ...{ locked: 0, created_at: now, updated_at: now, deleted: 0, revision: 1 },
      })
      .execute();
  });
}
