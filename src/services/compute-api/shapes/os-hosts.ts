import { body, type Infer, leaf } from '../../../lib/shape.ts';
import { query, texts } from './query.ts';

const onOff = leaf<string>({ type: 'string', enum: ['enable', 'disable', 'Enable', 'Disable', 'ENABLE', 'DISABLE'] });
export const hostUpdate = body({ status: onOff, maintenance_mode: onOff }, { minProperties: 1 });
export type HostUpdate = Infer<typeof hostUpdate>;

/** Gone with 2.43, so never strict. */
export const hostListQuery = query({ zone: texts() }, '2.75');
