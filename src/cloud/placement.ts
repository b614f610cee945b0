import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'ini';
import { openConnections } from '../clients/connections.ts';
import { serviceToken, tokenCheck } from '../clients/identity.ts';
import { neighbour } from '../clients/neighbour.ts';
import { migrate } from '../db/migrate.ts';
import { openDatabase } from '../db/open.ts';
import type { TokenCheck } from '../http/app.ts';
import { corsDefaults, withCors } from '../http/cors.ts';
import { openFrontDoor } from '../http/front-door.ts';
import type { Clock } from '../lib/clock.ts';
import { lockDir } from '../lib/dir-lock.ts';
import { type Log, openLog } from '../lib/log.ts';
import { readRules } from '../model/policy-file.ts';
import { noAuth } from '../services/placement/noauth.ts';
import type { CandidateOptions } from '../services/placement/parts.ts';
import { createPlacementApp } from '../services/placement/placement-app.ts';
import { localName } from './api.ts';
import { readConfig, readConfigFile } from './config.ts';
import type { Settings } from './options.ts';

export interface PlacementOptions {
  readonly dataDir: string;
  readonly port: number;
  readonly listen?: string | undefined;
  readonly auth?: 'noauth2' | 'keystone' | undefined;
  readonly policy?: string | undefined;
  readonly config?: string | undefined;
  readonly clock: Clock;
  readonly say: (line: string) => void;
}
export interface PlacementAlone {
  readonly base: string;
  stop(): Promise<void>;
}

/** What placement.conf says besides what nova.conf's table has: [api] auth_strategy, [oslo_policy], [cors], [placement_database] connection. */
function readOwn(file: string | undefined) {
  const parsed: Record<string, Record<string, unknown>> = file ? parse(readFileSync(file, 'utf8')) : {};
  const text = (section: string, name: string) => {
    const value = parsed[section]?.[name];
    return value === undefined ? undefined : String(value);
  };
  const words = (section: string, name: string) =>
    (text(section, name) ?? '')
      .split(',')
      .map((word) => word.trim())
      .filter(Boolean);
  const flag = (section: string, name: string) => /^(true|1|yes|on)$/i.test(text(section, name) ?? '');
  return { text, words, flag };
}

/** The placement API alone, on tables of its own. Throws an Error with a sentence for the operator. */
export async function startPlacement(options: PlacementOptions): Promise<PlacementAlone> {
  const { clock, say } = options;
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const config = options.config ? readConfigFile(options.config) : readConfig('');
  for (const warning of config.warnings) say(warning);
  const own = readOwn(options.config);
  const undo: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (let last = undo.pop(); last; last = undo.pop()) await last();
  };
  try {
    const lock = lockDir(dataDir);
    undo.push(() => lock.release());
    const log = openLog({ level: config.settings.debug ? 'debug' : 'info', target: join(dataDir, 'placement.log') });
    const policyFile = options.policy ?? config.settings.placementPolicyFile ?? own.text('oslo_policy', 'policy_file');
    const url = own.text('placement_database', 'connection') ?? `sqlite:///${join(dataDir, 'placement.db')}`;
    const db = await openDatabase({ url, poolSize: config.settings.poolSize });
    undo.push(() => db.close());
    await migrate(db);
    const auth = options.auth ?? own.text('api', 'auth_strategy') ?? 'keystone';
    const app = await createPlacementApp({
      db,
      clock,
      log,
      checkToken: auth === 'noauth2' ? noAuth : keystone(config.settings, clock, log, undo),
      policyOverrides: policyFile ? await readRules(readFileSync(policyFile, 'utf8')) : {},
      candidates: candidateOptions(config.settings),
      newDefaultsOnly: own.flag('oslo_policy', 'enforce_new_defaults'),
      alone: true,
    });
    undo.push(() => app.close());
    const cors = { ...corsDefaults, allowedOrigins: own.words('cors', 'allowed_origin'), allowHeaders: own.words('cors', 'allow_headers') };
    const host = options.listen ?? '127.0.0.1';
    const door = await openFrontDoor({ apps: [withCors(app, cors)], plain: () => false, host, port: options.port });
    undo.push(() => door.close());
    const base = `http://${localName(host)}:${door.address.port}`;
    say(`placement ready: ${base}/placement${auth === 'noauth2' ? ' (noauth2: tokens are not checked)' : ''}`);
    return { base, stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

/** Spec: [placement] of placement.conf. Throws for a strategy that is none. */
export function candidateOptions(settings: Settings): Partial<CandidateOptions> {
  const { candidatesStrategy: strategy, maxCandidates: max } = settings;
  if (strategy !== 'depth-first' && strategy !== 'breadth-first')
    throw new Error(`[placement] allocation_candidates_generation_strategy = ${strategy} may be depth-first or breadth-first`);
  return { randomize: settings.randomizeCandidates, max: max < 0 ? null : max, breadthFirst: strategy === 'breadth-first' };
}

/** Rules of the placement API in a whole cloud: those named placement:... of the common file, and all of its own. */
export async function placementRulesOf(settings: Settings, common: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const shared = Object.entries(common).filter(([name]) => name.startsWith('placement:'));
  const own = settings.placementPolicyFile ? await readRules(readFileSync(settings.placementPolicyFile, 'utf8')) : {};
  return { ...Object.fromEntries(shared), ...own };
}

function keystone(
  settings: ReturnType<typeof readConfig>['settings'],
  clock: Clock,
  _log: Log,
  undo: (() => Promise<void> | void)[],
): TokenCheck {
  if (!settings.authUrl || !settings.authPassword)
    throw new Error('[keystone_authtoken] auth_url and password are needed to check tokens; or say --auth noauth2 to try the API alone.');
  const connections = openConnections();
  undo.push(() => connections.close());
  const url = `${settings.authUrl.replace(/\/(v3)?\/?$/, '')}/v3`;
  const user = { userName: settings.authUser, password: settings.authPassword, projectName: settings.authProject };
  const token = serviceToken({ url, connections, clock, ...user });
  return tokenCheck({ identity: neighbour({ service: 'identity', url, token, connections }), clock });
}
