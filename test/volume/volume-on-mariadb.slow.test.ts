import { onEngine } from '../support/on-engine.ts';

await onEngine('mariadb', 'block storage', async () => void (await import('./volume.test.ts')));
