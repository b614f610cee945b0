import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How the cloud is started that requests are replayed against: three fake hosts, quotas that never bind, deleted servers kept for a while. */
export function houseArguments(): { args: readonly string[]; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-conformance-'));
  const config = join(dir, 'nova.conf');
  writeFileSync(
    config,
    [
      '[DEFAULT]',
      'reclaim_instance_interval = 3600',
      'shelved_offload_time = -1',
      ...['spice', 'serial_console', 'mks'].flatMap((section) => [`[${section}]`, 'enabled = true']),
      '[quota]',
      ...['instances', 'cores', 'ram', 'key_pairs', 'server_groups', 'server_group_members'].map((word) => `${word} = -1`),
      '',
    ].join('\n'),
  );
  return {
    args: ['--hypervisor', 'fake', '--hosts', '3', '--config', config],
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
