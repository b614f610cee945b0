import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { keepSecrets } from '../cloud/secrets.ts';
import { defaultDataDir } from '../cloud/up.ts';
import { type Login, login } from './demo.ts';

interface DecisionAnswer {
  readonly id: string;
  readonly attempt: number;
  readonly decided_at: string;
  readonly placed: boolean;
  readonly hosts_seen: number;
  readonly filters: readonly {
    readonly name: string;
    readonly before: number;
    readonly after: number;
    readonly reasons: readonly { readonly why: string; readonly hosts: number }[];
  }[];
  readonly nearest_miss: { readonly host?: string; readonly why: string } | null;
  readonly smallest_change: string | null;
  readonly chosen: readonly { readonly host: string; readonly weight: number }[];
  readonly table_state: string;
  readonly table: {
    readonly hosts_passed: number;
    readonly ranked: readonly {
      readonly order: number;
      readonly host: string;
      readonly weight: number;
      readonly weighers: readonly {
        readonly name: string;
        readonly raw: number;
        readonly normalized: number;
        readonly multiplier: number;
        readonly product: number;
      }[];
    }[];
    readonly refused: readonly { readonly host: string; readonly filter: string; readonly why: string }[];
  } | null;
  readonly advice: { readonly text: string } | null;
}

/** `kilonova explain SERVER`: why the server of that id or name stands where it does, or nowhere, as tables. Answers the exit status: 1 when there is
 *  no such server, or no decision about it is kept. */
export async function explainCommand(server: string, flags: { dataDir?: string; limit: number; json?: true }): Promise<number> {
  const dataDir = flags.dataDir ?? defaultDataDir();
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const endpoint = join(dataDir, 'endpoint');
  if (!existsSync(endpoint)) {
    say(`no cloud runs on ${dataDir}: start it with \`kilonova up\`, or name another with --data-dir`);
    return 1;
  }
  const admin = await login(readFileSync(endpoint, 'utf8').trim(), 'admin', keepSecrets(dataDir).adminPassword, 'admin');
  const ids = await idsOf(admin, server);
  if (ids.length !== 1) {
    say(ids.length === 0 ? `there is no server ${server}` : `several servers are called ${server}: ${ids.join(', ')}`);
    return 1;
  }
  const { scheduler_decisions: list } = (
    await admin.compute.ask<{ scheduler_decisions: { id: string }[] }>('GET', `/os-scheduler-decisions?server_id=${ids[0]}`)
  ).body;
  if (list.length === 0) {
    say(`no decision about server ${ids[0]} is kept: it was not scheduled yet, or longer ago than decisions are kept`);
    return 1;
  }
  for (const { id } of list.toReversed()) {
    const { scheduler_decision: decision } = (
      await admin.compute.ask<{ scheduler_decision: DecisionAnswer }>('GET', `/os-scheduler-decisions/${id}?limit=${flags.limit}`)
    ).body;
    if (flags.json) say(JSON.stringify(decision));
    else for (const line of decisionLines(decision)) say(line);
  }
  return 0;
}

async function idsOf(admin: Login, server: string): Promise<string[]> {
  const isId = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(server);
  const known = isId ? await admin.compute.ask('GET', `/servers/${server}`, { expect: [200, 404] }) : undefined;
  if (known?.status === 200) return [server];
  // A pattern of the database: the name is held against the answers.
  const { servers } = (
    await admin.compute.ask<{ servers: { id: string; name: string }[] }>(
      'GET',
      `/servers?all_tenants=1&name=${encodeURIComponent(`^${server.replaceAll(/[^\w -]/g, '.')}$`)}`,
    )
  ).body;
  return servers.filter(({ name }) => name === server).map(({ id }) => id);
}

/** A decision in plain lines. */
export function decisionLines(decision: DecisionAnswer): string[] {
  const chosen = decision.chosen.map(({ host, weight }) => `${host} (${weight.toFixed(4)})`).join(', ');
  const lines = [
    `decision ${decision.id}, attempt ${decision.attempt}, ${decision.decided_at}`,
    decision.placed ? `chosen: ${chosen}` : 'no host was left',
    '',
    ...columns([
      ['filter', 'before', 'after', 'why'],
      ...decision.filters.map(({ name, before, after, reasons }) => [
        name,
        String(before),
        String(after),
        reasons.map(({ why, hosts }) => `${hosts}: ${why}`).join('; '),
      ]),
    ]),
    '',
  ];
  const { table } = decision;
  if (!table) lines.push('Its hosts as they were are past what the schedulers keep: only these counts are left.', '');
  if (table && table.ranked.length > 0) {
    const names = table.ranked[0]!.weighers.map(({ name }) => name.replace(/Weigher$/, ''));
    lines.push(
      `${table.hosts_passed} hosts passed; each weigher: raw, normalised x multiplier`,
      ...columns([
        ['order', 'host', ...names, 'weight'],
        ...table.ranked.map(({ order, host, weight, weighers }) => [
          String(order),
          host,
          ...weighers.map(({ raw, normalized, multiplier }) => `${short(raw)}, ${short(normalized)} x ${short(multiplier)}`),
          weight.toFixed(4),
        ]),
      ]),
      '',
    );
  }
  if (table && table.refused.length > 0)
    lines.push(...columns([['refused host', 'by', 'why'], ...table.refused.map(({ host, filter, why }) => [host, filter, why])]), '');
  if (decision.nearest_miss) lines.push(`nearest miss: ${decision.nearest_miss.host ?? 'a host'}: ${decision.nearest_miss.why}`);
  const change = decision.advice?.text ?? decision.smallest_change;
  if (change) lines.push(`smallest change: ${change}`);
  return lines;
}
const short = (value: number) => (Number.isInteger(value) ? String(value) : value.toFixed(3));

/** Rows with their columns one under the other. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  );
}
