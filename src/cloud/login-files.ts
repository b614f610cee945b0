import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileWhole } from '../lib/write-file.ts';
import type { Secrets } from './secrets.ts';

interface Login {
  readonly user: string;
  readonly password: string;
  readonly project: string;
}

/** Writes openrc, openrc-demo, clouds.yaml and ports.json, and last `endpoint`: whoever waits for the cloud waits for that file. Without secrets (they are
 *  with the process that made the cloud) only the last two. */
export function writeLoginFiles(
  dataDir: string,
  base: string,
  region: string,
  secrets: Secrets | null,
  ports: Readonly<Record<string, number>>,
): void {
  if (secrets) writeLogins(dataDir, base, region, secrets);
  writeFileWhole(join(dataDir, 'ports.json'), `${JSON.stringify(ports)}\n`);
  writeFileWhole(join(dataDir, 'endpoint'), `${base}\n`);
}

function writeLogins(dataDir: string, base: string, region: string, secrets: Secrets): void {
  const logins: Record<string, Login> = {
    admin: { user: 'admin', password: secrets.adminPassword, project: 'admin' },
    demo: { user: 'demo', password: secrets.demoPassword, project: 'demo' },
  };
  const authUrl = `${base}/identity/v3`;
  writeFileWhole(join(dataDir, 'openrc'), openrc(logins.admin as Login, authUrl, region));
  writeFileWhole(join(dataDir, 'openrc-demo'), openrc(logins.demo as Login, authUrl, region));
  const clouds = { kilonova: logins.demo as Login, 'kilonova-admin': logins.admin as Login };
  writeFileWhole(join(dataDir, 'clouds.yaml'), cloudsYaml(clouds, authUrl, region));
}

/** A stale `endpoint` would tell of a cloud that is not there. */
export const removeEndpoint = (dataDir: string): void => rmSync(join(dataDir, 'endpoint'), { force: true });

function openrc(login: Login, authUrl: string, region: string): string {
  const words: Record<string, string> = {
    OS_AUTH_URL: authUrl,
    OS_IDENTITY_API_VERSION: '3',
    OS_USERNAME: login.user,
    OS_PASSWORD: login.password,
    OS_PROJECT_NAME: login.project,
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
    OS_REGION_NAME: region,
  };
  return `${Object.entries(words)
    .map(([name, value]) => `export ${name}='${value}'`)
    .join('\n')}\n`;
}

function cloudsYaml(clouds: Readonly<Record<string, Login>>, authUrl: string, region: string): string {
  const text = JSON.stringify; // a JSON string is one of YAML too
  const entry = ([name, login]: [string, Login]) => `  ${name}:
    auth:
      auth_url: ${text(authUrl)}
      username: ${text(login.user)}
      password: ${text(login.password)}
      project_name: ${text(login.project)}
      user_domain_name: Default
      project_domain_name: Default
    region_name: ${text(region)}
    identity_api_version: 3
`;
  return `clouds:\n${Object.entries(clouds).map(entry).join('')}`;
}
