import { newUuid } from '../../../lib/ids.ts';

export type Priority = 'INFO' | 'ERROR';
/** One event on its way to whoever listens. */
export interface Notice {
  /** 'instance.pause.start' */
  readonly event: string;
  readonly priority: Priority;
  /** 'nova-compute:host1' */
  readonly publisher: string;
  readonly payload: object;
}

/** A payload object as Nova's consumers unpack it. */
export const novaObject = (name: string, version: string, data: object) => ({
  'nova_object.name': name,
  'nova_object.namespace': 'nova',
  'nova_object.version': version,
  'nova_object.data': data,
});

/** What goes over the bus inside oslo's envelope.  Spec: oslo.messaging notifier, message format 2.0. */
export const message = (notice: Notice, at: number) => ({
  message_id: newUuid(),
  publisher_id: notice.publisher,
  event_type: notice.event,
  priority: notice.priority,
  payload: notice.payload,
  timestamp: new Date(at / 1000).toISOString().replace('T', ' ').replace('Z', '000'),
  _unique_id: newUuid().replaceAll('-', ''),
});

/** Times inside payloads: whole seconds. */
export const seconds = (at: number | null): string | null => (at === null ? null : `${new Date(at / 1000).toISOString().slice(0, 19)}Z`);
