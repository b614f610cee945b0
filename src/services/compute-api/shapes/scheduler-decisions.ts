import { body, type Infer, leaf, required } from '../../../lib/shape.ts';
import { query, single, texts, WHOLE } from './query.ts';

const text = leaf<string>({ type: 'string', minLength: 1, maxLength: 255 });
const name = leaf<string | null>({ type: ['string', 'null'], minLength: 1, maxLength: 255 });

/** What a server would be asked with, as far as a scheduler cares. */
export const dryRunBody = body({
  flavor: required(text),
  image: name,
  availability_zone: name,
  host: name,
  hypervisor_hostname: name,
  hints: leaf<Record<string, unknown> | null>({ type: ['object', 'null'] }),
  count: leaf<number>({ type: 'integer', minimum: 1, maximum: 1000 }),
  limit: leaf<number>({ type: 'integer', minimum: 1, maximum: 100_000 }),
});
export type DryRunBody = Infer<typeof dryRunBody>;

export const decisionListQuery = query({ server_id: texts(), limit: single(WHOLE) }, '2.1');
export const decisionQuery = query({ limit: single(WHOLE) }, '2.1');
