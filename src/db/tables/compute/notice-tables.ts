import type { Generated } from 'kysely';

/** One count of one host's servers for one period. */
export interface TaskLogTable {
  id: Generated<number>;
  /** 'instance_usage_audit'. */
  task_name: string;
  host: string;
  period_beginning: number;
  period_ending: number;
  /** 'RUNNING', 'DONE'. */
  state: string;
  task_items: number;
  errors: number;
  message: string;
  /** Who counts; another one takes over when it is not heard of any more. */
  owner: string;
  touched_at: number;
}
/** What one guest read from and wrote to one volume: as its hypervisor counts now, and what earlier counts came to before they began anew. */
export interface VolumeUsagesTable {
  volume_id: string;
  server_uuid: string;
  counted_at: number;
  reads: number;
  read_bytes: number;
  writes: number;
  write_bytes: number;
  earlier_reads: number;
  earlier_read_bytes: number;
  earlier_writes: number;
  earlier_write_bytes: number;
}
