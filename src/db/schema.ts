import type { ComputeTables } from './tables/compute/tables.ts';
import type { IdentityTables } from './tables/identity/tables.ts';
import type { ImageTables } from './tables/image/tables.ts';
import type { NetworkTables } from './tables/network/tables.ts';
import type { PlacementTables } from './tables/placement/tables.ts';
import type { VolumeTables } from './tables/volume/tables.ts';

/** Every table of every service, by name. Services touch only their own (a test in test/architecture names trespassers). */
export interface Schema extends ComputeTables, PlacementTables, IdentityTables, ImageTables, NetworkTables, VolumeTables {}
