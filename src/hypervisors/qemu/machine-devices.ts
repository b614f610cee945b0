import type { GuestSpec } from '../driver.ts';
import { extraPlace, fixedPlace } from './slots.ts';
import { chosen, flagOf, numberOf, unusable, wordOf } from './wishes.ts';

/** What QEMU calls a screen, and the property that holds its memory; null: it has none to be set. */
const VIDEO: Readonly<Record<string, { readonly vga: string; readonly memory: string | null }>> = {
  vga: { vga: 'std', memory: 'VGA.vgamem_mb=' },
  cirrus: { vga: 'cirrus', memory: 'cirrus-vga.vgamem_mb=' },
  virtio: { vga: 'virtio', memory: null },
  vmvga: { vga: 'vmware', memory: 'vmware-svga.vgamem_mb=' },
  none: { vga: 'none', memory: null },
};
export const VIDEO_MODELS = Object.keys(VIDEO);
const WATCHDOG = ['disabled', 'none', 'pause', 'poweroff', 'reset'];
const POINTERS: Readonly<Record<string, readonly string[]>> = { usbtablet: ['usb-tablet'], ps2mouse: [] };
const INPUT_BUSES: Readonly<Record<string, readonly string[]>> = {
  usb: ['usb-tablet', 'usb-kbd'],
  virtio: ['virtio-tablet-pci', 'virtio-keyboard-pci'],
  ps2: [],
};

/** Devices that come beside disks and cards, as [driver, properties]; those with a place of their own stand there. */
export interface MachineDevices {
  /** Arguments that are no devices. */
  readonly args: readonly string[];
  readonly devices: readonly { readonly driver: string; readonly [key: string]: string }[];
  readonly usb: boolean;
  /** Whether some stand beside the serial controller, which has to say so. */
  readonly extras: boolean;
}

/** Screen, input, watchdog, random numbers, balloon and boot menu as flavor and image ask for them. Throws imageUnusable.
 *  Spec: hw_video_model, hw_video_ram with hw_video:ram_max_mb, hw_pointer_model, hw_input_bus, hw_watchdog_action, hw_rng:*, hw_boot_menu. */
export function machineDevices(spec: GuestSpec, machine: string, balloon: boolean): MachineDevices {
  const devices: { driver: string; [key: string]: string }[] = [];
  const args = [...videoArgs(spec)];
  let extras = 0;
  const beside = (driver: string, more: Record<string, string> = {}) => devices.push({ driver, ...more, ...extraPlace(machine, ++extras) });

  if (flagOf(spec, 'hw_rng:allowed', null) !== false) {
    const model = wordOf(spec, null, 'hw_rng_model');
    if (model !== undefined && model !== 'virtio') throw unusable(spec, `hw_rng_model=${model} is not virtio`);
    const bytes = numberOf(spec, 'hw_rng:rate_bytes', null);
    const period = numberOf(spec, 'hw_rng:rate_period', null) ?? 1000;
    args.push('-object', 'rng-random,id=rng0,filename=/dev/urandom');
    const rate: Record<string, string> = bytes ? { 'max-bytes': String(bytes), period: String(period) } : {};
    devices.push({ driver: 'virtio-rng-pci', rng: 'rng0', ...rate, ...fixedPlace(machine, 'rng') });
  }
  if (balloon) devices.push({ driver: 'virtio-balloon-pci', id: 'balloon0', ...fixedPlace(machine, 'balloon') });

  const watchdog = wordOf(spec, 'hw:watchdog_action', 'hw_watchdog_action') ?? 'disabled';
  if (!WATCHDOG.includes(watchdog)) throw unusable(spec, `hw_watchdog_action=${watchdog} is not one of ${WATCHDOG.join(', ')}`);
  if (watchdog !== 'disabled') {
    beside('i6300esb', { id: 'watchdog0' });
    args.push('-watchdog-action', watchdog);
  }

  const bus = chosen(spec, 'hw_input_bus', INPUT_BUSES, 'ps2');
  const inputs = new Set([...bus, ...chosen(spec, 'hw_pointer_model', POINTERS, 'ps2mouse')]);
  if (inputs.has('virtio-tablet-pci')) inputs.delete('usb-tablet');
  for (const driver of inputs) {
    if (driver.startsWith('usb')) devices.push({ driver, bus: 'usb-bus.0' });
    else beside(driver);
  }
  const usb = [...inputs].some((driver) => driver.startsWith('usb'));

  if (flagOf(spec, 'hw:boot_menu', 'hw_boot_menu')) args.push('-boot', 'menu=on');
  return { args, devices, usb, extras: extras > 0 };
}

function videoArgs(spec: GuestSpec): string[] {
  const { vga, memory } = chosen(spec, 'hw_video_model', VIDEO, 'vga');
  const wish = numberOf(spec, null, 'hw_video_ram');
  if (!wish) return ['-vga', vga];
  const most = numberOf(spec, 'hw_video:ram_max_mb', null) ?? 0;
  if (wish > most) throw unusable(spec, `hw_video_ram=${wish} MiB is more than the ${most} of the flavor (hw_video:ram_max_mb)`);
  if (memory === null) throw unusable(spec, `hw_video_ram cannot be set for hw_video_model=${spec.imageProperties.hw_video_model}`);
  return ['-vga', vga, '-global', `${memory}${wish}`];
}

/** Properties of the CPU that an image or a flavor asks for; begins with a comma. Throws imageUnusable.
 *  Spec: hw:pmu, hide_hypervisor_id, hw:maxphysaddr_mode and _bits. */
export function cpuWords(spec: GuestSpec, acceleration: 'kvm' | 'tcg'): string {
  const pmu = flagOf(spec, 'hw:pmu', 'hw_pmu');
  const hidden = flagOf(spec, 'hw:hide_hypervisor_id', 'img_hide_hypervisor_id') ?? false;
  const mode = wordOf(spec, 'hw:maxphysaddr_mode', 'hw_maxphysaddr_mode');
  const bits = numberOf(spec, 'hw:maxphysaddr_bits', 'hw_maxphysaddr_bits');
  if (mode !== undefined && mode !== 'emulate' && mode !== 'passthrough')
    throw unusable(spec, `hw_maxphysaddr_mode=${mode} is not one of emulate, passthrough`);
  if (mode === 'emulate' && bits === undefined) throw unusable(spec, 'hw_maxphysaddr_mode=emulate needs hw_maxphysaddr_bits');
  return [
    pmu === undefined ? '' : `,pmu=${pmu ? 'on' : 'off'}`,
    hidden ? (acceleration === 'kvm' ? ',kvm=off' : ',-hypervisor') : '',
    mode === 'passthrough' ? ',host-phys-bits=on' : mode === 'emulate' ? `,phys-bits=${bits}` : '',
  ].join('');
}
