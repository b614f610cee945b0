import { type Ask, type Filter, no, ok } from '../filter.ts';
import type { HostView } from '../host-view.ts';

interface Wanted {
  readonly words: readonly string[];
  readonly version: string | undefined;
  readonly addressBits: unknown;
}
const arches: Readonly<Record<string, string>> = { i386: 'i686', i486: 'i686', i586: 'i686', amd64: 'x86_64' };
const modes: Readonly<Record<string, string>> = { pv: 'xen', hv: 'hvm', baremetal: 'hvm' };
const hypervisors: Readonly<Record<string, string>> = { xapi: 'xen', xenserver: 'xen' };
const canonical = (table: Readonly<Record<string, string>>, value: unknown) => {
  if (typeof value !== 'string') return undefined;
  const small = value.trim().toLowerCase();
  return small === '' ? undefined : (table[small] ?? small);
};

/** The properties that name a machine, under their present or their older names. */
function readMachine({ wish: { imageProperties: properties }, options }: Ask): Wanted {
  const words = [
    canonical(arches, properties.hw_architecture ?? properties.architecture ?? options.imageDefaultArchitecture),
    canonical(hypervisors, properties.img_hv_type ?? properties.hypervisor_type),
    canonical(modes, properties.hw_vm_mode ?? properties.vm_mode),
  ].filter((word) => word !== undefined);
  const version = properties.img_hv_requested_version ?? properties.hypervisor_version_requires;
  return { words, version: typeof version === 'string' ? version : undefined, addressBits: properties.hw_maxphysaddr_bits ?? null };
}

/** The same for every host of a decision, so read once. */
let last: { readonly ask: Ask; readonly wanted: Wanted } | undefined;
function wantedMachine(ask: Ask): Wanted {
  if (last?.ask !== ask) last = { ask, wanted: readMachine(ask) };
  return last.wanted;
}
function runs(triple: readonly (string | null)[], words: readonly string[]): boolean {
  for (const word of words) if (!triple.includes(word)) return false;
  return true;
}

/** Hosts that can run the machine the image asks for: one of their (arch, hypervisor type, vm mode) triples holds all the words asked for.
 *  Spec: Nova's ImagePropertiesFilter; membership, not position. */
export const ImagePropertiesFilter: Filter = {
  name: 'ImagePropertiesFilter',
  oncePerRequest: true,
  runOnRebuild: true,
  concerns: (ask) => wantedMachine(ask).words.length > 0,
  judge(host, ask) {
    const { words, version, addressBits } = wantedMachine(ask);
    if (words.length === 0) return ok;
    if (!host.supportedInstances?.some((triple) => runs(triple, words))) return no(`the image asks for ${words.join(', ')}`);
    if (version !== undefined && host.hypervisorVersion && !versionFits(host.hypervisorVersion, version))
      return no(`the image asks for hypervisor version ${version}`);
    if (addressBits !== null && !addressBitsFit(host, Number(addressBits)))
      return no(`the image asks for ${addressBits} bits of physical addresses`);
    return ok;
  },
};

/** Nova looks into cpu_info as an object; on real hosts it is a text, and the request fails. */
function addressBitsFit(host: HostView, wish: number): boolean {
  if (typeof host.cpuInfo !== 'object' || host.cpuInfo === null) throw new Error('cpu_info is no object: its maxphysaddr cannot be read');
  const { maxphysaddr } = host.cpuInfo as { maxphysaddr?: { bits?: number } };
  return maxphysaddr?.bits === undefined || wish <= maxphysaddr.bits;
}

/** Whether 7002022 (7.2.22) satisfies `>=7.0,<8`. 6000 is 6.0, as Nova writes it. */
function versionFits(version: number, predicate: string): boolean {
  const have: number[] = [];
  for (let rest = version; rest > 0; rest = Math.floor(rest / 1000)) have.unshift(rest % 1000);
  return predicate.split(',').every((part) => {
    const match = /^\s*(<=|>=|!=|==|<|>)\s*([\d.]+)\s*$/.exec(part);
    if (!match) return false;
    const want = match[2]!.split('.').map(Number);
    let order = 0;
    for (let at = 0; at < Math.max(have.length, want.length) && order === 0; at++) order = Math.sign((have[at] ?? 0) - (want[at] ?? 0));
    const says: Record<string, boolean> = {
      '<': order < 0,
      '<=': order <= 0,
      '>': order > 0,
      '>=': order >= 0,
      '==': order === 0,
      '!=': order !== 0,
    };
    return says[match[1]!] ?? false;
  });
}
