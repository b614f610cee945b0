import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryBus } from '../bus/memory.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { readConfig } from './config.ts';
import { openNotifications } from './notifications.ts';

test('notification options that name nothing, or ask for what there is not, are refused with a sentence', async () => {
  const parts = { bus: memoryBus({ clock: systemClock, log: silentLog }), clock: systemClock, log: silentLog };
  const open = (lines: string) => openNotifications(readConfig(`[oslo_messaging_notifications]\ndriver = log\n${lines}`).settings, parts);
  const told = await open('[notifications]\ndefault_level = ERROR\nnotification_format = both\n');
  assert.equal(told.notifications?.format, 'both');
  await told.close();
  await (await open('[DEFAULT]\ndefault_notification_level = WARN\n')).close();
  await assert.rejects(open('[notifications]\ndefault_level = LOUD\n'), /default_level is LOUD; it must be one of DEBUG, INFO/);
  await assert.rejects(open('[notifications]\ninclude_share_mapping = true\n'), /no shared file system service/);
  await assert.rejects(open('[notifications]\nnotification_format = spoken\n'), /notification_format is spoken/);
});
