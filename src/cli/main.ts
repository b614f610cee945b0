import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Whoever read our words may go away (`kilonova up | head -1`): the cloud goes on.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

// Stripping types and compiling takes most of a start; the second one finds the result of the first. Where it cannot be written, nothing is kept.
enableCompileCache(join(import.meta.dirname, '../../node_modules/.cache/kilonova'));
const { program } = await import('./program.ts');
await program.parseAsync();
