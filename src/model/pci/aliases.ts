import type { PciRequest } from './pools.ts';

/** Devices by the name a flavor asks for them: extra spec `pci_passthrough:alias` = "gpu:2,nic:1".  Spec: [pci] alias. */
export interface PciAlias {
  readonly name: string;
  /** A device of any of these will do. */
  readonly specs: readonly Readonly<Record<string, unknown>>[];
  readonly numaPolicy: PciRequest['numaPolicy'];
}
const policies = ['legacy', 'required', 'preferred', 'socket'] as const;
const types: Readonly<Record<string, string>> = { 'type-PCI': 'type-PCI', 'type-PF': 'type-PF', 'type-VF': 'type-VF', vdpa: 'vdpa' };

/** Reads the config's aliases, each a JSON object; several of one name are alternatives. Throws for what is none, naming it. */
export function readAliases(texts: readonly string[]): PciAlias[] {
  const byName = new Map<string, PciAlias>();
  for (const text of texts) {
    let one: Record<string, unknown>;
    try {
      one = JSON.parse(text);
    } catch (cause) {
      throw new Error(`[pci] alias = ${text} is no JSON object`, { cause });
    }
    const { name, device_type: type, numa_policy: policy = null, ...spec } = one ?? {};
    if (typeof name !== 'string' || name === '') throw new Error(`[pci] alias = ${text} has no name`);
    if (type !== undefined && !Object.hasOwn(types, String(type)))
      throw new Error(`[pci] alias ${name}: device_type may be ${Object.keys(types).join(', ')}`);
    const known = policies.find((word) => word === policy) ?? null;
    if (policy !== null && known === null) throw new Error(`[pci] alias ${name}: numa_policy may be ${policies.join(', ')}`);
    const specs = [{ ...spec, ...(type === undefined ? {} : { dev_type: type }) }];
    const before = byName.get(name);
    if (before && before.numaPolicy !== known) throw new Error(`[pci] alias ${name} is given twice with other numa_policies`);
    byName.set(name, before ? { ...before, specs: [...before.specs, ...specs] } : { name, specs, numaPolicy: known });
  }
  return [...byName.values()];
}

/** The devices a flavor asks for; null: none. Throws for an alias nobody has, or a count that is none. */
export function pciRequestsOf(
  extraSpecs: Readonly<Record<string, string>>,
  imagePolicy: unknown,
  aliases: readonly PciAlias[],
): PciRequest[] | null {
  const asked = extraSpecs['pci_passthrough:alias'];
  if (!asked?.trim()) return null;
  const policy = policies.find((word) => word === (extraSpecs['hw:pci_numa_affinity_policy'] ?? imagePolicy)) ?? null;
  return asked.split(',').map((part) => {
    const [name = '', number = ''] = part.trim().split(':');
    const alias = aliases.find((one) => one.name === name.trim());
    if (!alias) throw new Error(`the PCI alias ${name} is not defined`);
    if (!/^\d+$/.test(number.trim())) throw new Error(`pci_passthrough:alias ${part} names no count`);
    return { count: Number(number), spec: alias.specs, alias: alias.name, numaPolicy: policy ?? alias.numaPolicy, requestId: null };
  });
}
