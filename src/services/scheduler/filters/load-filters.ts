import { pythonInt } from '../../../model/python.ts';
import { aggregateNumber } from '../aggregates.ts';
import { type Filter, no, ok } from '../filter.ts';

const busy = no('the host builds or moves as many servers as it may');
const full = no('the host has as many servers as it may');

/** Spec: Nova's IoOpsFilter, max_io_ops_per_host. */
export const IoOpsFilter: Filter = {
  name: 'IoOpsFilter',
  judge: (host, { options }) => (host.numIoOps < options.maxIoOpsPerHost ? ok : busy),
};
export const AggregateIoOpsFilter: Filter = {
  name: 'AggregateIoOpsFilter',
  judge: (host, { options }) =>
    host.numIoOps < aggregateNumber(host, 'max_io_ops_per_host', options.maxIoOpsPerHost, pythonInt) ? ok : busy,
};
/** Spec: Nova's NumInstancesFilter, max_instances_per_host. */
export const NumInstancesFilter: Filter = {
  name: 'NumInstancesFilter',
  judge: (host, { options }) => (host.numInstances < options.maxInstancesPerHost ? ok : full),
};
export const AggregateNumInstancesFilter: Filter = {
  name: 'AggregateNumInstancesFilter',
  judge: (host, { options }) =>
    host.numInstances < aggregateNumber(host, 'max_instances_per_host', options.maxInstancesPerHost, pythonInt) ? ok : full,
};
