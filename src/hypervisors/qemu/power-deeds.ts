import { setTimeout as pause } from 'node:timers/promises';
import { deedUnsupported, guestNotFound, hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { Driver, GuestSpec } from '../driver.ts';
import { createRescueDisks, removeRescueDisks } from './disks.ts';
import { askGuestAgent } from './guest-agent.ts';
import { guestPaths } from './guest-paths.ts';
import { isUp, type LiveGuest, type LiveGuests, runState } from './live-guests.ts';
import type { AskMove } from './move-line.ts';
import type { Qmp } from './qmp.ts';
import { saveMemory } from './suspend.ts';

/** Hands of the driver that its deeds work with. */
export interface QemuHands {
  readonly live: LiveGuests;
  /** Throws guestNotFound. */
  must(uuid: string): LiveGuest;
  /** One deed to one guest at a time; the signal says that nobody waits for it any longer. */
  onGuest<T>(uuid: string, work: (hurry: AbortSignal) => Promise<T>): Promise<T>;
  /** Of this host. */
  readonly hostname: string;
  /** Questions to other hosts. */
  readonly ask: AskMove;
  /** How long a guest may take to let go of a device, and memory to go to the disk or another host. */
  readonly unplugMs: number;
  readonly moveMs: number;
}

/** The line to a guest whose machine stands. Throws hypervisorFailed. */
export function lineTo(guest: LiveGuest, deed: string): Qmp {
  const { power, spec } = guest.record;
  if (!isUp(guest)) throw hypervisorFailed({ why: `a guest that is ${power} cannot ${deed}` });
  if (!guest.qmp) throw hypervisorFailed({ why: `the emulator of guest ${spec.uuid} does not answer` });
  return guest.qmp;
}

/** Runs with the guest's CPUs standing still; what the emulator tells meanwhile is our own doing. */
async function held<T>(guest: LiveGuest, work: () => Promise<T>): Promise<T> {
  guest.ours = true;
  try {
    return await work();
  } finally {
    guest.ours = false;
  }
}

type PowerDeeds = Pick<Driver, 'pause' | 'unpause' | 'suspend' | 'resume' | 'crashDump' | 'setPassword' | 'rescue' | 'unrescue'>;

/** Whether a guest runs, and from what. */
export function createPowerDeeds({ live, must, onGuest, moveMs }: QemuHands): PowerDeeds {
  const suspend = async (guest: LiveGuest, hurry: AbortSignal) => {
    const { power, spec } = guest.record;
    if (power === 'suspended' && !guest.record.process) return;
    const qmp = lineTo(guest, 'suspend');
    const was = power === 'paused' ? 'paused' : 'running';
    await live.record(guest, { suspending: was });
    try {
      await held(guest, async () => {
        await qmp.command('stop');
        await saveMemory(qmp, guestPaths(live.stateDir, spec.uuid), AbortSignal.any([hurry, AbortSignal.timeout(moveMs)]));
        await live.end(guest, 0);
      });
    } catch (cause) {
      if (was === 'running') await settled(qmp);
      await live.record(guest, { suspending: null, power: was });
      throw cause;
    }
    await live.record(guest, { power: 'suspended', process: null, suspending: null });
  };
  const boot = async (spec: GuestSpec, more: Parameters<LiveGuests['start']>[1]) => {
    const guest = live.get(spec.uuid);
    if (guest?.record.process) await live.end(guest, 0);
    await live.start(spec, more);
  };

  return {
    pause: (uuid) =>
      onGuest(uuid, async () => {
        const guest = must(uuid);
        if (guest.record.power === 'paused') return;
        await lineTo(guest, 'pause').command('stop');
        await live.record(guest, { power: 'paused' });
      }),
    unpause: (uuid) =>
      onGuest(uuid, async () => {
        const guest = must(uuid);
        if (guest.record.power === 'running') return;
        await lineTo(guest, 'unpause').command('cont');
        await live.record(guest, { power: 'running' });
      }),
    suspend: (uuid) => onGuest(uuid, (hurry) => suspend(must(uuid), hurry)),
    resume: (spec) =>
      onGuest(spec.uuid, async () => {
        must(spec.uuid);
        await live.start(spec);
      }),
    crashDump: (uuid) =>
      onGuest(uuid, async () => {
        await lineTo(must(uuid), 'write a crash dump').command('inject-nmi');
      }),
    setPassword: (uuid, password) =>
      onGuest(uuid, async () => {
        const guest = must(uuid);
        const { hw_qemu_guest_agent: wish = '', os_admin_user: named, os_type } = guest.record.spec.imageProperties;
        const refuse = (why: string) => deedUnsupported({ deed: 'change the password', why });
        if (!/^(yes|true|on|1)$/i.test(wish)) throw refuse('its image does not say that there is an agent in it (hw_qemu_guest_agent)');
        lineTo(guest, 'take a password');
        if (guest.record.power !== 'running')
          throw hypervisorFailed({ why: `the agent of a guest that is ${guest.record.power} cannot answer` });
        const username = named ?? (os_type === 'windows' ? 'Administrator' : 'root');
        const args = { username, password: Buffer.from(password).toString('base64'), crypted: false };
        await askGuestAgent(guestPaths(live.stateDir, uuid).agentSocket, 'guest-set-user-password', args);
      }),
    rescue: (spec, rescue) =>
      onGuest(spec.uuid, async (hurry) => {
        const guest = live.get(spec.uuid);
        if (guest?.record.power === 'suspended' && !guest.record.process)
          throw hypervisorFailed({ why: 'a guest that is suspended cannot be rescued' });
        if (guest && isUp(guest) && guest.record.rescue?.image.id === rescue.image.id) return;
        const paths = guestPaths(live.stateDir, spec.uuid);
        if (guest?.record.rescue) await live.end(guest, 0); // its rescue disk is made anew
        await createRescueDisks(paths, rescue, live.disks, hurry);
        try {
          await boot(spec, { rescue });
        } catch (cause) {
          await removeRescueDisks(paths);
          throw cause;
        }
      }),
    unrescue: (spec) =>
      onGuest(spec.uuid, async () => {
        const guest = live.get(spec.uuid);
        if (!guest) throw guestNotFound({ uuid: spec.uuid });
        if (guest.record.rescue === null) return live.start(spec);
        await boot(spec, { rescue: null });
        await removeRescueDisks(guestPaths(live.stateDir, spec.uuid));
      }),
  };
}

/** A memory that was not sent after all: the guest goes on once QEMU has put its disks right again. */
export async function settled(qmp: Qmp): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    await qmp.command('cont').catch(() => undefined);
    if ((await runState(qmp).catch(() => 'running')) === 'running') return; // a closed line: the guest is gone, which others notice
    await pause(20);
  }
}
