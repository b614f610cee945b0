import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';

/** What a host shows other hosts, and by what it knows theirs: PEM. */
export interface MoveTls {
  readonly ca: Buffer;
  readonly server: { readonly cert: Buffer; readonly key: Buffer };
  readonly client: { readonly cert: Buffer; readonly key: Buffer };
}

/** Reads certificates and keys from a folder, under the names that QEMU and libvirt give them. Throws hypervisorFailed. */
export async function readMoveTls(folder: string): Promise<MoveTls> {
  const read = (name: string) =>
    readFile(join(folder, name)).catch((cause: unknown) => {
      const why = `moves between hosts are to be encrypted, and ${join(folder, name)} cannot be read`;
      throw hypervisorFailed({ why }, { cause });
    });
  const pair = async (end: 'server' | 'client') => ({ cert: await read(`${end}-cert.pem`), key: await read(`${end}-key.pem`) });
  return { ca: await read('ca-cert.pem'), server: await pair('server'), client: await pair('client') };
}
