import { type AgentReport, conductorContract, type Verdict } from '../../bus/contracts/conductor.ts';
import { CloudError } from '../../model/errors.ts';
import type { AgentParts } from './parts.ts';

export interface Outbox {
  /** Says it to the conductor until it is recorded; reports of one guest stay in order. */
  add(report: AgentReport): void;
  stop(): Promise<void>;
}

const LIST = 200;

/** Sends outcomes, many in one message when many are there, and repeats what was not acknowledged. `settled` hears each verdict;
 *  `fenced` is called when another agent owns this host. */
export function createOutbox(
  parts: Pick<AgentParts, 'bus' | 'clock' | 'log' | 'options'>,
  sender: () => { host: string; hostUuid: string; epoch: number },
  settled: (report: AgentReport, verdict: Verdict) => void,
  fenced: (cause: unknown) => void,
): Outbox {
  const { bus, clock, log, options } = parts;
  const waiting = new Map<string, AgentReport>();
  const end = new AbortController();
  let sending: Promise<void> | undefined;
  const send = async () => {
    let pause = options.resendMs;
    while (waiting.size > 0 && !end.signal.aborted) {
      const list = [...waiting].slice(0, LIST);
      try {
        const reports = list.map(([, report]) => report);
        const { verdicts } = await bus.ask(conductorContract, 'recordReports', { ...sender(), reports }, { timeoutMs: options.askMs });
        for (const [at, [key, report]] of list.entries()) {
          if (waiting.get(key) === report) waiting.delete(key);
          settled(report, verdicts[at] ?? 'recorded');
        }
        pause = options.resendMs;
      } catch (cause) {
        if (cause instanceof CloudError && cause.code === 'host.stale_agent') return fenced(cause);
        log.warn({ err: cause, reports: list.length }, 'outcomes were not acknowledged and are said again');
        await clock.sleep(pause, end.signal);
        pause = Math.min(pause * 2, 10_000);
      }
    }
  };
  return {
    add(report) {
      // Keyed so that saying a thing again does not double it; a newer power state replaces an older one.
      const key = `${report.uuid} ${report.kind} ${report.jobUuid ?? ''}`;
      waiting.delete(key);
      waiting.set(key, report);
      sending ??= new Promise<void>((resolve) => setImmediate(resolve)).then(send).finally(() => {
        sending = undefined;
      });
    },
    async stop() {
      end.abort();
      await Promise.race([sending, clock.sleep(1000)]);
    },
  };
}
