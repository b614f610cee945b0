import type { Chance } from './chance.ts';

/** What is done to a part of the cloud, and when. */
export interface Strike {
  /** Milliseconds from the beginning. */
  readonly at: number;
  readonly victim: string;
  /** 'kill': SIGKILL; 'freeze': SIGSTOP, and on it goes; 'end': SIGTERM; 'evacuate': SIGKILL of an agent whose servers are then taken elsewhere. */
  readonly how: 'kill' | 'freeze' | 'end' | 'evacuate';
  /** How long it is away, milliseconds. */
  readonly awayMs: number;
}
export interface Victim {
  readonly name: string;
  readonly weight: number;
  readonly kind: 'part' | 'agent' | 'server';
}

/** The whole plan of a run: the same seed gives the same strikes. */
export function planStrikes(chance: Chance, victims: readonly Victim[], options: { endMs: number; perMinute: number }): Strike[] {
  const strikes: Strike[] = [];
  const sum = victims.reduce((total, one) => total + one.weight, 0);
  let at = 1500;
  for (;;) {
    at += Math.min(15_000, -Math.log(1 - chance.next()) * (60_000 / options.perMinute));
    const ticket = chance.next() * sum;
    let passed = 0;
    const victim = victims.find((one) => {
      passed += one.weight;
      return ticket < passed;
    });
    const dice = chance.next();
    const long = chance.next();
    if (!victim || at >= options.endMs) return strikes;
    const how =
      victim.kind === 'agent' && dice < 0.06
        ? 'evacuate'
        : victim.kind !== 'server' && dice < 0.14
          ? 'freeze'
          : dice < 0.18
            ? 'end'
            : 'kill';
    const awayMs = Math.round(
      how === 'freeze' ? 500 + long ** 3 * 22_000 : how === 'evacuate' ? 4000 + long * 4000 : 50 + long ** 2 * 3000,
    );
    strikes.push({ at: Math.round(at), victim: victim.name, how, awayMs });
  }
}
