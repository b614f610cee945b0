import type { NotificationOptions, Outside } from '../bus/announcer.ts';
import type { Bus } from '../bus/bus.ts';
import { openBus } from '../bus/open.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Settings } from './options.ts';

const formats = ['versioned', 'unversioned', 'both'] as const;
const levels = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'CRITICAL'];
const stateChanges = ['vm_state', 'vm_and_task_state'] as const;
type Told = Outside & { close(): Promise<void> };

/** Whether anybody outside is told anything. */
export const tellsOutside = ({ notificationDriver: driver }: Settings): boolean => driver !== '' && driver !== 'noop';

/** What conductors and schedulers tell the outside, and through which bus. Throws an Error with a sentence for options that name nothing. */
export async function openNotifications(settings: Settings, parts: { bus: Bus; clock: Clock; log: Log }): Promise<Told> {
  const { bus, clock, log } = parts;
  const driver = settings.notificationDriver;
  const silent = { async close() {} };
  if (!tellsOutside(settings)) return silent;
  const format = formats.find((word) => word === settings.notificationFormat);
  if (!format) throw new Error(`notification_format is ${settings.notificationFormat}; it must be one of ${formats.join(', ')}`);
  if (!levels.includes(settings.notificationLevel))
    throw new Error(`[notifications] default_level is ${settings.notificationLevel}; it must be one of ${levels.join(', ')}`);
  if (settings.sharesInNotifications)
    throw new Error(
      '[notifications] include_share_mapping cannot be true: there is no shared file system service whose shares could be told',
    );
  const onStateChange = stateChanges.find((word) => word === settings.notifyOnStateChange) ?? null;
  if (settings.notifyOnStateChange && !onStateChange)
    throw new Error(`notify_on_state_change is ${settings.notifyOnStateChange}; it must be one of ${stateChanges.join(', ')}`);
  const { versionedTopics, notificationTopics: topics, bdmsInNotifications: disks } = settings;
  const notifications: NotificationOptions = { format, versionedTopics, topics, onStateChange, disks };
  if (driver === 'log')
    return { ...silent, notifications, notify: async (topic, envelope) => log.info({ topic, notification: envelope }, 'notification') };
  if (driver !== 'messagingv2' && driver !== 'messaging')
    throw new Error(`[oslo_messaging_notifications] driver is ${driver}; it must be messagingv2, log or noop`);
  const own = settings.notificationTransport === null ? undefined : await openBus({ url: settings.notificationTransport, clock, log });
  const to = own ?? bus;
  return { notifications, notify: (topic, envelope) => to.notify(topic, envelope), close: async () => own?.close() };
}
