import { compute } from './0001-compute.ts';
import { placement } from './0002-placement.ts';
import { identity } from './0003-identity.ts';
import { image } from './0004-image.ts';
import { network } from './0005-network.ts';
import { tokenKeys } from './0006-token-keys.ts';
import { computeNouns } from './0007-compute-nouns.ts';
import { scheduler } from './0008-scheduler.ts';
import { volume } from './0009-volume.ts';
import { networkRouters } from './0010-network.ts';
import { placementApi } from './0011-placement-api.ts';
import { admin } from './0012-admin.ts';
import { act } from './0013-act.ts';
import { move } from './0014-move.ts';
import { tokens } from './0015-tokens.ts';
import { vol2 } from './0016-vol2.ts';
import { machineParts } from './0020-machine-parts.ts';
import { notices } from './0021-notices.ts';
import { volumeKeys } from './0022-volume-keys.ts';
import type { Migration } from './migration.ts';

/** Every step of the schema, in the order in which they run. Names never change. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-compute': compute,
  '0002-placement': placement,
  '0003-identity': identity,
  '0004-image': image,
  '0005-network': network,
  '0006-token-keys': tokenKeys,
  '0007-compute-nouns': computeNouns,
  '0008-scheduler': scheduler,
  '0009-volume': volume,
  '0010-network': networkRouters,
  '0011-placement-api': placementApi,
  '0012-admin': admin,
  '0013-act': act,
  '0014-move': move,
  '0015-tokens': tokens,
  '0016-vol2': vol2,
  '0020-machine-parts': machineParts,
  '0021-notices': notices,
  '0022-volume-keys': volumeKeys,
};
