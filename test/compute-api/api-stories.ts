/** The stories of the compute API that hold on every engine. */
export async function apiStories(): Promise<void> {
  await import('./flavors.test.ts');
  await import('./keypairs.test.ts');
  await import('./hosts.test.ts');
  await import('./os-hosts.test.ts');
  await import('./aggregates.test.ts');
  await import('./server-groups.test.ts');
  await import('./usage.test.ts');
  await import('./notices.test.ts');
  await import('./hostile.test.ts');
  await import('./tags.test.ts');
  await import('./consoles.test.ts');
}
