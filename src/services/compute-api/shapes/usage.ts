import { since } from '../../../lib/shape.ts';
import { query, texts, WHOLE } from './query.ts';

const period = { start: texts(), end: texts() };
const page = { limit: since('2.40', texts(WHOLE)), marker: since('2.40', texts()) };

export const usageListQuery = query({ ...period, ...page, detailed: texts() }, '2.75');
export const usageQuery = query({ ...period, ...page }, '2.75');
