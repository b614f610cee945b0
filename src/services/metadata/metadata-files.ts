import type { Server } from '../../model/server.ts';
import { ec2MetaData } from './ec2-tree.ts';
import { type ConfigDriveExtras, contentPath, metaData, openstackFiles, type RenderOptions, userDataOf } from './openstack-tree.ts';

/** The files of a config drive, base64 by path: `openstack/latest/*`, `openstack/content/*`, `ec2/latest/*`; the same words the service answers, with the
 *  admin password and the injected files that it never tells.  Spec: compute user guide, "Config drives". */
export function metadataFiles(server: Server, extras: ConfigDriveExtras = {}, options: RenderOptions = {}): Record<string, string> {
  const files: Record<string, string> = {};
  const put = (path: string, content: string | Buffer) => {
    files[path] = Buffer.from(content).toString('base64');
  };
  put('openstack/latest/meta_data.json', JSON.stringify(metaData(server, 'latest', options, extras)));
  for (const [name, read] of openstackFiles(server, 'latest', options))
    if (name !== 'meta_data.json' && name !== 'password') put(`openstack/latest/${name}`, read().body);
  for (const [at, file] of (extras.files ?? []).entries()) files[`openstack${contentPath(at)}`] = file.contents;
  put('ec2/latest/meta-data.json', JSON.stringify(ec2MetaData(server, 'latest', options)));
  const userData = userDataOf(server);
  if (userData) put('ec2/latest/user-data', userData);
  return files;
}
