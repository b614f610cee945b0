import type { Call } from '../../http/call.ts';
import { isUuid } from '../../lib/ids.ts';
import type { NetworkParts, ServerEvent } from './parts.ts';

interface PluggedPort {
  readonly uuid: string;
  readonly device_id: string;
  readonly device_owner: string;
}

/** Tells compute that something about ports of servers changed. What compute's own service user did it knows already. */
export function tellOfPorts(parts: NetworkParts, call: Call, name: ServerEvent['name'], ports: readonly (PluggedPort | undefined)[]): void {
  if (call.caller.roles.includes('service')) return;
  const events = ports.flatMap((port) =>
    port?.device_owner.startsWith('compute:') && isUuid(port.device_id) ? [{ name, server_uuid: port.device_id, tag: port.uuid }] : [],
  );
  if (events.length > 0) parts.tellCompute(events);
}
