import { onEngine } from '../support/on-engine.ts';

await onEngine('postgres', 'block storage', async () => void (await import('./volume.test.ts')));
