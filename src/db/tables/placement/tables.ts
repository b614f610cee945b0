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
  /** Rises with every change of the provider, of what it offers and of what is used of it: whoever keeps a copy sees by it what to read again. */
  touches: Generated<number>;
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

/** Custom traits; standard ones are in the program. */
export interface TraitsTable {
  id: Generated<number>;
  name: string;
  created_at: number;
}
/** Custom resource classes; standard ones are in the program. */
export interface ResourceClassesTable {
  id: Generated<number>;
  name: string;
  created_at: number;
}
export interface ProviderTraitsTable {
  provider_uuid: string;
  trait: string;
}
export interface ProviderAggregatesTable {
  provider_uuid: string;
  aggregate_uuid: string;
}
/** `tree`: rises when providers come, go or move, or their traits or aggregates change. */
export interface PlacementMarksTable {
  name: string;
  version: number;
}

/** Cells and devices a consumer holds of its host. */
export interface PartClaimsTable {
  consumer_uuid: string;
  provider_uuid: string;
  /** JSON of PartsHeld. */
  held: string;
}
/** Hosts of which cells or devices were ever claimed. `version` rises with each claim and release of any: claims of one host follow each other here. */
export interface HostPartsTable {
  provider_uuid: string;
  version: number;
}

export interface PlacementTables {
  part_claims: PartClaimsTable;
  host_parts: HostPartsTable;
  traits: TraitsTable;
  resource_classes: ResourceClassesTable;
  provider_traits: ProviderTraitsTable;
  provider_aggregates: ProviderAggregatesTable;
  placement_marks: PlacementMarksTable;
  resource_providers: ResourceProvidersTable;
  inventories: InventoriesTable;
  allocations: AllocationsTable;
  consumers: ConsumersTable;
}
