import type { Clock } from '../lib/clock.ts';
import { newUuid } from '../lib/ids.ts';
import type { LegacyNotice, Notice } from '../model/notices.ts';

export interface NotificationOptions {
  /** Spec: [notifications] notification_format. */
  readonly format: 'versioned' | 'unversioned' | 'both';
  readonly versionedTopics: readonly string[];
  readonly topics: readonly string[];
  /** Spec: [notifications] notify_on_state_change. */
  readonly onStateChange: 'vm_state' | 'vm_and_task_state' | null;
  /** Spec: [notifications] bdms_in_notifications. */
  readonly disks: boolean;
}
/** What the outside is told, and through whom; nothing where either is absent. */
export interface Outside {
  readonly notifications?: NotificationOptions;
  readonly notify?: (topic: string, envelope: object) => Promise<void>;
}

/** Tells listeners outside. */
export interface Announcer {
  readonly options: NotificationOptions;
  /** Resolves when the carrier has it, in each form that is wanted: a notice without its unversioned form has none there. `at`: when it happened,
   *  microseconds. Throws busUnavailable. */
  tell(notice: Notice, at: number, legacy?: LegacyNotice): Promise<void>;
}

/** What goes over the bus inside oslo's envelope.  Spec: oslo.messaging notifier, message format 2.0. */
const message = (event: string, priority: string, publisher: string, payload: object, at: number) => ({
  message_id: newUuid(),
  publisher_id: publisher,
  event_type: event,
  priority,
  payload,
  timestamp: new Date(at / 1000).toISOString().replace('T', ' ').replace('Z', '000'),
  _unique_id: newUuid().replaceAll('-', ''),
});

/** Undefined where nothing is to be sent. */
export function openAnnouncer({ notifications: options, notify }: Outside): Announcer | undefined {
  if (!options || !notify) return undefined;
  return {
    options,
    async tell(notice, at, legacy) {
      const level = notice.priority.toLowerCase();
      if (options.format !== 'unversioned')
        for (const topic of options.versionedTopics)
          await notify(`${topic}.${level}`, message(notice.event, notice.priority, notice.publisher, notice.payload, at));
      if (options.format !== 'versioned' && legacy)
        for (const topic of options.topics)
          await notify(`${topic}.${level}`, message(legacy.event, notice.priority, legacy.publisher, legacy.payload, at));
    },
  };
}

const MOST_WAITING = 10_000;
const LAST_WORDS_MS = 2000;

/** Tells in the order given without anybody waiting for it: for news that stand nowhere. What cannot be handed over is lost, as is what comes while too much
 *  waits; `lost` hears why. */
export function tellSoon(clock: Clock, lost: (cause: unknown) => void) {
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  let over = false;
  return {
    say(news: () => Promise<void>): void {
      if (waiting >= MOST_WAITING) {
        lost(new Error('too many notifications wait for their carrier'));
        return;
      }
      waiting++;
      last = last
        .then(() => (over ? undefined : news()))
        .catch(lost)
        .finally(() => {
          waiting--;
        });
    },
    /** Tells what is still to be told, as far as the carrier takes it at once. */
    async stop(): Promise<void> {
      const done = new AbortController();
      await Promise.race([last, clock.sleep(LAST_WORDS_MS, done.signal)]);
      done.abort();
      over = true;
    },
  };
}
