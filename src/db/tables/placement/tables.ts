import type { Generated } from 'kysely';

export interface ResourceProvidersTable {
  id: Generated<number>;
  uuid: string;
  name: string;
  generation: number;
  root_uuid: string;
  parent_uuid: string | null;
  created_at: number;
  updated_at: number;
}
export interface InventoriesTable {
  provider_uuid: string;
  /** VCPU, MEMORY_MB, DISK_GB, ... */
  resource_class: string;
  total: number;
  reserved: number;
  min_unit: number;
  max_unit: number;
  step_size: number;
  allocation_ratio: number;
  /** floor((total - reserved) * allocation_ratio): what `used` may not exceed. Kept here so that a claim is one conditional statement. */
  capacity: number;
  used: number;
}
export interface AllocationsTable {
  consumer_uuid: string;
  provider_uuid: string;
  resource_class: string;
  used: number;
}
export interface ConsumersTable {
  uuid: string;
  project_id: string;
  user_id: string;
  generation: number;
  consumer_type: string | null;
  created_at: number;
}

export interface PlacementTables {
  resource_providers: ResourceProvidersTable;
  inventories: InventoriesTable;
  allocations: AllocationsTable;
  consumers: ConsumersTable;
}
