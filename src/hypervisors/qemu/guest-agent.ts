import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';

interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

/** What a guest may say without an end of line: whoever rules it decides what its agent says, and all guests share this process. */
const LONGEST_LINE = 64 * 1024;

/** Asks the agent inside a guest. What an earlier caller left on the line is skipped: only what follows our own mark counts.
 *  Throws hypervisorFailed: the agent's own refusal, or no answer in time. Spec: QEMU guest agent protocol, guest-sync-delimited. */
export function askGuestAgent(socketPath: string, execute: string, args: object, timeoutMs = 10_000): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const mark = randomInt(1, 2 ** 31);
    const socket = connect(socketPath);
    let rest = '';
    let ours = false;
    const end = (finish: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      finish();
    };
    const fail = (why: string) => end(() => reject(hypervisorFailed({ why: `the guest's agent ${why}` })));
    const timer = setTimeout(() => fail(`did not answer within ${timeoutMs} ms`), timeoutMs);
    const hear = (answer: Answer) => {
      if (ours) return answer.error ? fail(`refused: ${answer.error.desc}`) : end(() => resolve(answer.return));
      if (answer.return !== mark) return;
      ours = true;
      socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    };
    socket.on('connect', () =>
      socket.write(`\xff${JSON.stringify({ execute: 'guest-sync-delimited', arguments: { id: mark } })}\n`, 'latin1'),
    );
    socket.on('error', (cause) => fail(`cannot be reached: ${cause.message}`));
    socket.on('close', () => fail('closed the line'));
    socket.on('data', (bytes: Buffer) => {
      rest += bytes.toString('latin1').replaceAll('\xff', '');
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LONGEST_LINE) return fail('says something without end');
      for (const line of lines) {
        try {
          hear(JSON.parse(line) as Answer); // the agent's own protocol
        } catch {} // half a line from before our mark
      }
    });
  });
}
