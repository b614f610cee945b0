import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { againstFields, type Range, rangeAt } from '../support/catalogue.ts';

export interface SampleRef {
  readonly file: string;
  readonly microversion: string;
  readonly variant?: string;
}
export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly pathScope: string;
  readonly action: string | null;
  readonly minMicroversion: string | null;
  readonly maxMicroversion: string | null;
  readonly removed?: { readonly status: number };
  readonly successStatus: number | readonly number[] | null;
  readonly successStatusByVersion?: readonly { readonly status: number; readonly min: string; readonly max: string | null }[];
  readonly policies: readonly { readonly rule: string; readonly default: string }[];
  readonly requestSamples: readonly SampleRef[];
  readonly responseSamples: readonly SampleRef[];
}
interface Difference {
  readonly pointer: string;
  readonly kind: string;
}
export interface Catalogue {
  readonly operations: readonly Operation[];
  readonly fields: Readonly<Record<string, Readonly<Record<string, readonly Range[]>>>>;
  sample(file: string): unknown;
  compareShape(sample: unknown, actual: unknown, options: object): Difference[];
  rulesFromFields(fields: unknown, operation: string, version: string, part: string): object;
}

/** Reads the catalogue whose folder, or whose folder of samples, is named; undefined when there is none. */
export async function readCatalogue(dir: string): Promise<Catalogue | undefined> {
  const home = [dir, dirname(dir)].find((one) => existsSync(join(one, 'operations.json')) && existsSync(join(one, 'samples')));
  if (!home) return undefined;
  const read = (name: string): unknown => JSON.parse(readFileSync(join(home, name), 'utf8'));
  const check = (await import(pathToFileURL(join(home, 'check/shape-check.mjs')).href)) as Pick<
    Catalogue,
    'compareShape' | 'rulesFromFields'
  >;
  return {
    operations: read('operations.json') as readonly Operation[],
    fields: read('fields.json') as Catalogue['fields'],
    sample: (file) => read(join('samples', file)),
    compareShape: check.compareShape,
    rulesFromFields: check.rulesFromFields,
  };
}

/** One request to send: an operation at a version, with the body of a sample, or none. */
export interface Case {
  readonly operation: Operation;
  readonly version: string;
  /** Empty for a request without a body. */
  readonly file: string;
  readonly body: unknown;
  readonly statuses: readonly number[];
  /** Samples one of which the answer must look like; empty: its body is not held against anything. */
  readonly answers: readonly SampleRef[];
}

export const minor = (version: string) => Number(version.split('.')[1]);
const NEWEST = '2.104';
/** Upstream's own oddities: a real server answers 400 to them (they lack `networks`, or the key that 2.92 asks for). */
const ODD = ['servers/v2.90/server-create-req.json', 'servers/v2.94/server-create-req.json', 'os-keypairs/v2.92/keypairs-post-req.json'];
/** What a real server refuses by intent since RDP consoles are gone: the sample of one, and their tokens, which 2.30 and older could look up. */
const refusedByIntent = (operation: Operation, version: string, file: string): boolean =>
  file === 'os-remote-consoles/v2.6/create-rdp-console-req.json' || (operation.id === 'os-console-auth-tokens:show' && minor(version) < 31);
/** `servers/v2.37/server-create-req-v237.json` and `servers/server-create-req.json` are one form at two versions. */
const family = (file: string) =>
  file
    .split('/')
    .at(-1)
    ?.replace(/-v\d+\.json$/, '.json') ?? file;

/** Drivers differ in what they tell of a CPU; the samples' one has no NUMA cells. */
const drivers = ['/hypervisor/cpu_info/topology/cells', '/hypervisors/[]/cpu_info/topology/cells'];

/** Items of a list are held against its first one, and a version's links are of two forms. */
const mixed = ['/version/links/[]/type'];

/** Versions at which something about an operation changes. */
function edges(operation: Operation, catalogue: Catalogue): string[] {
  const first = operation.minMicroversion ?? '2.1';
  const last = operation.maxMicroversion ?? NEWEST;
  const versions = new Set([first, last]);
  for (const sample of [...operation.requestSamples, ...operation.responseSamples]) versions.add(sample.microversion);
  for (const part of ['request', 'response', 'query'])
    for (const range of catalogue.fields[operation.id]?.[part] ?? []) {
      versions.add(range.min);
      if (range.max) versions.add(range.max);
    }
  for (const one of operation.successStatusByVersion ?? []) versions.add(one.min);
  return [...versions]
    .filter((version) => minor(version) >= minor(first) && minor(version) <= minor(last))
    .sort((a, b) => minor(a) - minor(b));
}

/** Of each form the newest one that is not younger than the version. */
function newest(samples: readonly SampleRef[], version: string): SampleRef[] {
  const best = new Map<string, SampleRef>();
  for (const sample of samples) {
    if (sample.variant || minor(sample.microversion) > minor(version)) continue;
    const known = best.get(family(sample.file));
    if (!known || minor(known.microversion) <= minor(sample.microversion)) best.set(family(sample.file), sample);
  }
  return [...best.values()];
}

const statusesAt = (operation: Operation, version: string): readonly number[] => {
  const own = operation.successStatusByVersion?.find(
    (one) => minor(one.min) <= minor(version) && (one.max === null || minor(version) <= minor(one.max)),
  );
  if (own) return [own.status];
  return typeof operation.successStatus === 'number' ? [operation.successStatus] : (operation.successStatus ?? []);
};

/** Every request there is to send for an operation: each form of body at each edge that a real server would take it at, by the facts of its fields. */
export function casesOf(operation: Operation, catalogue: Catalogue): Case[] {
  const cases: Case[] = [];
  for (const version of edges(operation, catalogue)) {
    const statuses = statusesAt(operation, version);
    const answers = newest(operation.responseSamples, version);
    const facts = rangeAt(catalogue.fields[operation.id]?.request, version)?.fields;
    if (operation.requestSamples.length === 0) {
      const refused = refusedByIntent(operation, version, '');
      cases.push({ operation, version, file: '', body: undefined, statuses: refused ? [400] : statuses, answers: refused ? [] : answers });
      continue;
    }
    for (const { file } of newest(operation.requestSamples, version)) {
      const body = catalogue.sample(file);
      if (ODD.includes(file)) continue;
      if (facts && againstFields(facts, body).length > 0) continue;
      const refused = refusedByIntent(operation, version, file);
      cases.push({ operation, version, file, body, statuses: refused ? [400] : statuses, answers: refused ? [] : answers });
    }
  }
  return cases;
}

/** What is wrong with an answer: empty when its status is right and its body looks like one of the samples, and like the facts of its fields. */
export function judge(one: Case, status: number, body: unknown, text: string, catalogue: Catalogue): string[] {
  if (!one.statuses.includes(status)) return [`answered ${status}, not ${one.statuses.join(' or ')}: ${text.slice(0, 300)}`];
  if (status >= 400) return [];
  const { operation, version } = one;
  const range = rangeAt(catalogue.fields[operation.id]?.response, version);
  const wrong = range && body !== undefined ? againstFields(range.fields, body) : [];
  if (one.answers.length === 0) return wrong;
  const known = catalogue.rulesFromFields(catalogue.fields, operation.id, version, 'response') as { extra?: readonly string[] };
  const rules = { ...known, extra: [...(known.extra ?? []), ...drivers, ...mixed] };
  const tried = one.answers.map(({ file, microversion }) => {
    // A sample of an older version shows fewer fields than its range may have by now: those facts were held against it above.
    const young = range !== undefined && minor(range.min) > minor(microversion);
    return young
      ? []
      : catalogue.compareShape(catalogue.sample(file), body, rules).map(({ kind, pointer }) => `${kind} ${pointer} (${file})`);
  });
  if (!tried.some((lines) => lines.length === 0)) wrong.push(...(tried.sort((a, b) => a.length - b.length)[0] ?? []));
  return wrong;
}
