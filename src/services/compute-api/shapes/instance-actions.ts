import { since } from '../../../lib/shape.ts';
import { query, single, WHOLE } from './query.ts';

/** Query of a server's action list: paged since 2.58, closed from then on.  Spec: microversions 2.58 and 2.66. */
export const actionListQuery = query(
  {
    limit: since('2.58', single(WHOLE)),
    marker: since('2.58', single()),
    'changes-since': since('2.58', single({ format: 'date-time' })),
    'changes-before': since('2.66', single({ format: 'date-time' })),
  },
  '2.58',
);
