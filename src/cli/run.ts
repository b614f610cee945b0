import { CloudError } from '../model/errors.ts';

/** Runs a command; what goes wrong ends it with one sentence and status 1, never with a stack. */
export async function run(command: () => Promise<number | undefined>): Promise<void> {
  try {
    const status = await command();
    if (status !== undefined) process.exit(status);
  } catch (cause) {
    process.stderr.write(`kilonova: ${sentence(cause)}\n`);
    if (process.env.KILONOVA_DEBUG) console.error(cause);
    process.exit(1);
  }
}

function sentence(cause: unknown): string {
  if (cause instanceof CloudError) return cause.detail ? `${cause.message} (${cause.detail})` : cause.message;
  if (!(cause instanceof Error)) return String(cause);
  if ('code' in cause) {
    if (cause.code === 'EADDRINUSE') {
      const { address, port } = cause as Error & { address?: string; port?: number };
      return `port ${port} on ${address} is taken by another program. Choose another with --port N, or --port 0 for any free one.`;
    }
    if (cause.code === 'EACCES' || cause.code === 'EROFS' || cause.code === 'EPERM')
      return `${'path' in cause ? cause.path : cause.message} cannot be written. Give the right to, or choose another place with --data-dir.`;
    if (cause.code === 'ENOSPC') return 'the disk is full. Nothing was lost; make room and start again.';
  }
  return cause.message;
}
