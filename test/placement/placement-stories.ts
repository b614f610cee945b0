/** The stories of placement that hold on every engine. */
export async function placementStories(): Promise<void> {
  await import('./providers.test.ts');
  await import('./claims.test.ts');
  await import('./candidates.test.ts');
}
