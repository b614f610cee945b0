import { readFileSync } from 'node:fs';
import { parse } from 'ini';
import { type Option, options, type Settings } from './options.ts';

/** What a config file said, typed, with a sentence for each thing an operator should know (old names, unknown options). */
export interface Config {
  readonly settings: Settings;
  readonly warnings: readonly string[];
  /** Names of options that the file set. */
  readonly given: ReadonlySet<keyof Settings>;
}

/** Reads nova.conf's text. Throws an Error whose sentence names section, option and value that cannot be read. */
export function readConfig(text: string): Config {
  const parsed: Record<string, unknown> = parse(text, { bracketedArray: false });
  const sections = sectionsOf(parsed);
  const warnings: string[] = [];
  const given = new Set<keyof Settings>();
  const values: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(options) as [keyof Settings, Option][]) {
    let raw = sections.get(option.section)?.get(option.name);
    if (raw === undefined) {
      for (const [section, name] of option.was ?? []) {
        raw = sections.get(section)?.get(name);
        if (raw === undefined || (section === option.section && name === option.name)) continue;
        warnings.push(`[${section}] ${name} is an older name; write [${option.section}] ${option.name}.`);
        break;
      }
    }
    if (raw !== undefined) given.add(key);
    values[key] = raw === undefined ? option.default : read(option, raw);
  }
  return { settings: values as unknown as Settings, warnings, given }; // each value was read by its own row of the table
}

export function readConfigFile(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`The config file ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  try {
    return readConfig(text);
  } catch (cause) {
    throw new Error(`${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Every value of each option, in order: an option may be given more than once. */
function sectionsOf(parsed: Record<string, unknown>): Map<string, Map<string, string[]>> {
  const sections = new Map<string, Map<string, string[]>>([['DEFAULT', new Map()]]);
  for (const [key, value] of Object.entries(parsed)) {
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      const section = new Map(sections.get(key));
      for (const [name, inner] of Object.entries(value)) section.set(name, allOf(inner));
      sections.set(key, section);
    } else sections.get('DEFAULT')?.set(key, allOf(value));
  }
  return sections;
}

const allOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [String(value)]);

/** Of an option given twice the last one counts, as with oslo.config, unless it takes many lines. */
function read(option: Option, all: readonly string[]): string | number | boolean | string[] {
  if (option.kind === 'lines') return all.map((line) => line.trim()).filter(Boolean);
  const raw = all.at(-1) ?? '';
  const where = `[${option.section}] ${option.name} = ${raw}`;
  switch (option.kind) {
    case 'integer':
    case 'number': {
      const value = Number(raw);
      if (raw.trim() === '' || !Number.isFinite(value) || (option.kind === 'integer' && !Number.isInteger(value)))
        throw new Error(`${where} is not ${option.kind === 'integer' ? 'an integer' : 'a number'}`);
      if (option.min !== undefined && value < option.min) throw new Error(`${where} must be at least ${option.min}`);
      return value;
    }
    case 'boolean': {
      const word = raw.trim().toLowerCase();
      if (['true', '1', 'yes', 'on'].includes(word)) return true;
      if (['false', '0', 'no', 'off'].includes(word)) return false;
      throw new Error(`${where} is neither true nor false`);
    }
    case 'list':
      return raw
        .split(',')
        .map((word) => word.trim())
        .filter(Boolean);
    default:
      return raw;
  }
}
