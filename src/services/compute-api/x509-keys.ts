import { KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import type { Micros } from '../../lib/clock.ts';
import { keypairInvalid } from '../../model/errors-compute-api.ts';
import { pkcs12 } from './pkcs12.ts';

/** The engine is loaded with the first certificate that is made: a cloud starts without it. It asks for reflection before it is read itself. */
async function loadX509() {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
const DAYS = 3650;

/** A fresh RSA pair as Nova makes them for Windows: a certificate that its key signs itself (for client authentication; the user is its subject and, as
 *  `<user>@localhost`, its principal name), in PEM; the private half is a PKCS #12 file without password, in base64. */
export async function makeCertificate(
  userId: string,
  now: Micros,
): Promise<{ publicKey: string; privateKey: string; fingerprint: string }> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
  const begin = Math.floor(now / 1_000_000) * 1000;
  const made = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: `4${randomBytes(19).toString('hex')}0`, // 20 bytes, the first of which makes it positive
      name: [{ CN: [userId] }],
      notBefore: new Date(begin),
      notAfter: new Date(begin + DAYS * 86_400_000),
      signingAlgorithm: RSA,
      keys,
      extensions: [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: 'upn', value: `${userId}@localhost` }]),
      ],
    },
    webcrypto as Parameters<typeof x509.X509CertificateGenerator.createSelfSigned>[1], // the same thing; only the types of its two worlds differ
  );
  const publicKey = `${made.toString('pem')}\n`;
  const privateKey = pkcs12(KeyObject.from(keys.privateKey), Buffer.from(made.rawData)).toString('base64');
  return { publicKey, privateKey, fingerprint: certificateFingerprint(publicKey) };
}

/** SHA-1 over a certificate, in small pairs with colons.  Throws keypairInvalid (400) for what is no PEM certificate. */
export function certificateFingerprint(certificate: string): string {
  try {
    if (!certificate.includes('-----BEGIN CERTIFICATE-----')) throw new Error('no PEM block of a certificate');
    return new X509Certificate(certificate).fingerprint.toLowerCase();
  } catch (cause) {
    throw keypairInvalid({ why: 'failed to generate X509 fingerprint. Error message: it is not a PEM certificate' }, { cause });
  }
}
