import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { mustAllow } from './server-tasks.ts';

/** os-getConsoleOutput: the newest lines of the serial console. Throws serverNotReady (409) for a server that is on no host yet.
 *  Spec: compute api-ref "Show Console Output". */
export async function getConsoleOutput(
  parts: ServerParts,
  call: Call<{ 'os-getConsoleOutput': { length?: number | string | null } }>,
): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  mustAllow('consoleOutput', 'get console output', server, call);
  const asked = call.body['os-getConsoleOutput'].length ?? -1;
  const lines = Number(asked);
  if (!Number.isSafeInteger(lines) || lines < -1) throw invalidInput({ why: 'length must be an integer of at least -1.' });
  const text = await parts.console(server, lines === -1 ? null : lines);
  // Control signs but tab and line feed are cut out, as clients know it from Nova.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these signs are what is looked for
  return { status: 200, body: { output: text.replaceAll(/[\u0000-\u0008\u000b-\u001f]/g, '') } };
}
