/** The stories of conductor, scheduler and agent that a database has a say in. What the API refuses by itself runs on SQLite alone. */
export async function coreStories(): Promise<void> {
  await import('./build-a-server.test.ts');
  await import('./build-fails.slow.test.ts');
  await import('./parallel-placing.slow.test.ts');
  await import('./agent-restarts.test.ts');
  await import('./vanished-jobs.test.ts');
  await import('./usage-audit.test.ts');
  await import('./notifications.test.ts');
  await import('../scheduler/live-hosts.test.ts');
  await import('../scheduler/legacy-claim.test.ts');
  await import('../scheduler/machine-parts.test.ts');
  await import('../compute-api/acts/deletes.test.ts');
  await import('../compute-api/acts/rebuild.test.ts');
  await import('../compute-api/acts/snapshots.test.ts');
  await import('../compute-api/acts/soft-delete.test.ts');
  await import('../compute-api/moves/resize.test.ts');
  await import('../compute-api/moves/machine-parts.test.ts');
  await import('../compute-api/moves/live-migrate.test.ts');
  await import('../compute-api/moves/evacuate.test.ts');
  await import('../compute-api/moves/shelve.test.ts');
  await import('../compute-api/moves/moves-fail.slow.test.ts');
}
