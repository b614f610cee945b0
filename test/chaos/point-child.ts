// A part of the cloud that kills itself at a named point, for crash-house.ts. It loads everything, then waits for lines on its standard input: `go {part,
// config, dataDir}` starts it, `arm POINT` says where it shall die ('-': nowhere). It tells each point that it passes: `point NAME`.
import { createInterface } from 'node:readline';
import { type PartName, startPart } from '../../src/cloud/one-service.ts';
import type { Driver } from '../../src/hypervisors/driver.ts';
import '../../src/hypervisors/fake/fake-driver.ts';
import '../../src/bus/rabbitmq.ts';
import { systemClock } from '../../src/lib/clock.ts';

let armed = '-';
const pass = (point: string) => {
  if (point === armed) process.kill(process.pid, 'SIGKILL');
  process.stdout.write(`point ${point}\n`);
};
/** Looking changes nothing, and nobody could tell where it died. */
const LOOKS = ['guests', 'guest', 'inventory', 'start', 'close', 'onEvent', 'consoleOutput', 'console', 'diagnostics'];
const DURING_MS = 60;
const watched = (driver: Driver): Driver =>
  new Proxy(driver, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      if (typeof value !== 'function' || typeof name !== 'string' || LOOKS.includes(name)) return value;
      return async (...words: unknown[]) => {
        pass(`agent.${name}.before`);
        // While it is at it; what is done sooner passes.
        const during = armed === `agent.${name}.during` ? setTimeout(() => process.kill(process.pid, 'SIGKILL'), DURING_MS) : undefined;
        const outcome: unknown = await Promise.resolve(value.apply(target, words)).finally(() => clearTimeout(during));
        pass(`agent.${name}.after`);
        return outcome;
      };
    },
  });
const end = new AbortController();
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const space = line.indexOf(' ');
    const [word, rest] = [line.slice(0, space), line.slice(space + 1)];
    if (word === 'arm') armed = rest;
    else if (word === 'go') {
      const { part, config, dataDir } = JSON.parse(rest) as { part: PartName; config: string; dataDir: string }; // crash-house.ts wrote it
      startPart(part, {
        config,
        dataDir,
        clock: systemClock,
        signal: end.signal,
        say: (said) => process.stdout.write(`kilonova: ${said}\n`),
        hooks: {
          conductor: { leaseMs: 500, pollMs: 40, resendMs: 250 },
          onStep: (kind, step, phase) => pass(`${kind}.${step}.${phase}`),
          driver: watched,
        },
      }).ready.catch((cause) => {
        process.stderr.write(`${cause?.stack ?? cause}\n`);
        process.exit(1);
      });
    }
  })
  .on('close', () => process.exit(0));
process.stdout.write('loaded\n');
