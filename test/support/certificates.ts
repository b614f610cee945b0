import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const keys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
const day = 86_400_000;
const times = () => ({ notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day), signingAlgorithm: algorithm });
const pem = (kind: string, bytes: ArrayBuffer) =>
  `-----BEGIN ${kind}-----\n${Buffer.from(bytes).toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END ${kind}-----\n`;

/** An authority that makes certificates for hosts. */
export async function openAuthority(name = 'hosts') {
  const own = await keys();
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...times(),
    serialNumber: '01',
    name: `CN=${name}`,
    keys: own,
    extensions: [new BasicConstraintsExtension(true, 1, true)],
  });
  let serial = 1;
  const issue = async (subject: string, usage: ExtendedKeyUsage, address: string) => {
    const pair = await keys();
    const certificate: X509Certificate = await X509CertificateGenerator.create({
      ...times(),
      serialNumber: `0${++serial}`,
      subject: `CN=${subject}`,
      issuer: ca.subject,
      publicKey: pair.publicKey,
      signingKey: own.privateKey,
      extensions: [new ExtendedKeyUsageExtension([usage]), new SubjectAlternativeNameExtension([{ type: 'ip', value: address }])],
    });
    return { cert: certificate.toString('pem'), key: pem('PRIVATE KEY', await crypto.subtle.exportKey('pkcs8', pair.privateKey)) };
  };
  return {
    /** Writes what a host at an address needs into a folder, under the names QEMU has for it. */
    async writeHost(folder: string, address: string): Promise<string> {
      mkdirSync(folder, { recursive: true });
      const server = await issue(address, ExtendedKeyUsage.serverAuth, address);
      const client = await issue(address, ExtendedKeyUsage.clientAuth, address);
      const files = {
        'ca-cert.pem': ca.toString('pem'),
        'server-cert.pem': server.cert,
        'server-key.pem': server.key,
        'client-cert.pem': client.cert,
        'client-key.pem': client.key,
      };
      for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text, { mode: 0o600 });
      return folder;
    },
  };
}
