// Runs the test files of one speed: `fast` (no suffix) or `slow` (*.slow.test.ts). Extra words choose files by part of their path.
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';

const [speed = 'fast', ...words] = process.argv.slice(2);
const slow = speed === 'slow';
const files = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'])
  .filter((file) => file.endsWith('.slow.test.ts') === slow)
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`no ${speed} test file matches ${words.join(' ')}`);
  process.exit(2);
}
const flags = slow ? ['--test-concurrency=1', '--test-timeout=900000'] : ['--test-isolation=none', '--test-timeout=60000']; // one process: starting one for each file costs more than the tests
const child = spawn(process.execPath, ['--test', '--test-force-exit', ...flags, ...files], { stdio: 'inherit' });
child.on('exit', (code) => process.exit(code ?? 1));
