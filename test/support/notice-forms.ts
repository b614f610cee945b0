import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogueFolder } from './catalogue.ts';

interface Field {
  readonly type: string;
  readonly nullable: boolean;
  readonly object?: string;
  readonly items?: Field;
}
interface Table {
  readonly events: readonly {
    readonly eventType: string;
    readonly payload: string;
    readonly priority: string;
    readonly publisher: string;
  }[];
  readonly payloads: Readonly<Record<string, { readonly version: string; readonly fields: Readonly<Record<string, Field>> }>>;
}
export interface SaidForm {
  readonly event: string;
  readonly priority: string;
  readonly publisher: string;
  readonly payload: Readonly<Record<string, unknown>>;
}
/** Fields that need not be told: of image properties those that are set, and one that no sample has. */
const isOptional = (payload: string, field: string) =>
  payload === 'ImageMetaPropsPayload' || (payload === 'RequestSpecPayload' && field === 'image_meta');
/** Events that several services publish; the table names one. */
const OF_ALL = /^(service\.\w+|compute\.exception)$/;
let table: Table | undefined;

/** What is wrong with a notification by the catalogue's table of events and payload objects, down to the innermost one. */
export function formFaults(said: SaidForm): string[] {
  table ??= JSON.parse(readFileSync(join(catalogueFolder, 'notifications.json'), 'utf8')) as Table;
  const { payloads, events } = table;
  const event = events.find(({ eventType }) => eventType === said.event);
  if (!event) return [`${said.event} is no event`];
  const wrong: string[] = [];
  const fault = (where: string, why: string) => wrong.push(`${said.event} ${where}: ${why}`);
  if (said.priority !== event.priority) fault('priority', said.priority);
  if (!(OF_ALL.test(said.event) ? said.publisher.startsWith('nova-') : said.publisher.startsWith(`${event.publisher}:`)))
    fault('publisher', said.publisher);
  const isOf = (name: string, value: Record<string, unknown>, where: string) => {
    const form = payloads[name];
    if (value['nova_object.name'] !== name || value['nova_object.version'] !== form?.version)
      return fault(where, `is ${value['nova_object.name']} ${value['nova_object.version']}, not ${name} ${form?.version}`);
    const data = value['nova_object.data'] as Record<string, unknown>;
    for (const key of Object.keys(data)) if (!form?.fields[key]) fault(`${where}/${key}`, 'unknown');
    for (const [key, field] of Object.entries(form?.fields ?? {}))
      if (key in data) check(field, data[key], `${where}/${key}`);
      else if (!isOptional(name, key)) fault(`${where}/${key}`, 'missing');
  };
  const check = (field: Field, value: unknown, where: string): unknown => {
    if (value === null || value === undefined) return field.nullable || fault(where, 'null');
    if (field.type === 'object') return isOf(field.object ?? '', value as Record<string, unknown>, where);
    const type = Array.isArray(value) ? 'list' : Number.isInteger(value) ? 'integer' : typeof value === 'object' ? 'dict' : typeof value;
    const wanted =
      { float: 'integer', uuid: 'string', datetime: 'string', enum: 'string', mac: 'string', ip: 'string', VersionPredicate: 'string' }[
        field.type
      ] ?? field.type;
    if (type !== wanted) return fault(where, `${type}, not ${wanted}`);
    if (field.items && Array.isArray(value)) for (const [at, item] of value.entries()) check(field.items, item, `${where}/${at}`);
    return undefined;
  };
  isOf(event.payload, said.payload, '');
  return wrong;
}
