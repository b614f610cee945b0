import type { Microversions } from '../../http/negotiate.ts';
import { atLeast, type Version } from '../../lib/shape.ts';

/** Every microversion with what it brought, in one sentence. A test holds the windows of shapes, views and routes against this list. */
export const microversions = {
  '2.1': 'Baseline: behaves like v2.0 but rejects malformed bodies through strict validation. Used when a client sends no version header.',
  '2.2': 'Key pairs gain a type (ssh or x509) and proper status codes.',
  '2.3': 'More admin-level server attributes become visible, plus delete_on_termination on attached volumes.',
  '2.4': 'Fixed IP details show whether the address is reserved. The API has since been removed (410).',
  '2.5': 'The ip6 server list filter works for ordinary users.',
  '2.6': 'One remote-consoles resource replaces the per-protocol console actions.',
  '2.7': 'Granting access to a public flavor is refused.',
  '2.8': 'Adds the mks protocol with webmks type to remote consoles.',
  '2.9': 'Servers expose whether they are locked.',
  '2.10': 'Admins may act on key pairs of other users.',
  '2.11': 'Compute services can be flagged as forced down.',
  '2.12': 'Virtual interface list shows the network id. The API has since been removed (410).',
  '2.13': 'Server groups show their owner.',
  '2.14': 'Evacuate detects shared storage itself and no longer returns a password.',
  '2.15': 'Soft affinity policies for server groups.',
  '2.16': 'Servers can show the health of their host.',
  '2.17': 'New action that injects a crash dump trigger into the guest.',
  '2.18': 'The project id path segment becomes optional.',
  '2.19': 'Servers have a free-text description.',
  '2.20': 'Volumes can be attached to and detached from shelved servers.',
  '2.21': 'Action history stays readable after the server is deleted.',
  '2.22': 'A running live migration can be forced to finish.',
  '2.23': 'In-progress live migrations can be listed and shown per server; os-migrations shows the type.',
  '2.24': 'A running live migration can be cancelled.',
  '2.25': 'Live migration can decide about block migration itself.',
  '2.26': 'Server tags: sub-resource, list filters and a field in server views.',
  '2.27': 'The OpenStack-API-Version header form is accepted.',
  '2.28': 'Hypervisor cpu_info becomes structured.',
  '2.29': 'Evacuate to a named host is checked by the scheduler unless forced.',
  '2.30': 'Live migration to a named host is checked by the scheduler unless forced.',
  '2.31': 'Console token lookup works for every console type.',
  '2.32': 'Device role tags at boot for networks and block devices.',
  '2.33': 'Hypervisor lists can be paged.',
  '2.34': 'Live migration pre-checks run after the request returns.',
  '2.35': 'Key pair lists can be paged and are sorted by name.',
  '2.36': 'Proxy APIs to the image, network, volume and bare-metal services disappear, together with network quotas and limits.',
  '2.37': 'Network allocation must be stated when creating a server; auto and none are new values.',
  '2.38': 'Unknown status values in a server list filter are refused.',
  '2.39': 'Image metadata proxy disappears and the image metadata quota is no longer enforced.',
  '2.40': 'Usage reports can be paged.',
  '2.41': 'Aggregates carry a uuid.',
  '2.42': 'Device tags at boot work again for networks and block devices.',
  '2.43': 'The os-hosts API disappears.',
  '2.44': 'Address-related server actions and the interface proxy disappear.',
  '2.45': 'Snapshot actions return the image id in the body.',
  '2.46': 'Signals that the request id is also sent as X-OpenStack-Request-ID.',
  '2.47': 'Servers embed the flavor they were built from.',
  '2.48': 'Diagnostics get a driver-independent layout.',
  '2.49': 'Devices can be tagged when attached.',
  '2.50': 'Quota classes lose network keys and show server group keys.',
  '2.51': 'New volume-extended event; action events become visible to the owner.',
  '2.52': 'Tags can be set while creating a server.',
  '2.53': 'Services and hypervisors are identified by UUID, and the sub-routes are folded into query and body parameters.',
  '2.54': 'The key pair can be changed by rebuild.',
  '2.55': 'Flavors have a description and can be updated.',
  '2.56': 'Cold migration may name a target host.',
  '2.57': 'File injection goes away; user_data may be replaced by rebuild.',
  '2.58': 'Action history can be paged and filtered by time.',
  '2.59': 'Migrations can be paged and filtered by time, and carry a uuid.',
  '2.60': 'A multiattach volume may be attached to several servers.',
  '2.61': 'Flavor views include extra specs.',
  '2.62': 'Action events identify the host.',
  '2.63': 'Servers can carry trusted image certificate ids.',
  '2.64': 'Server groups use one policy plus rules.',
  '2.65': 'Live migrations can be aborted before they start running.',
  '2.66': 'Lists accept an upper bound on the change time.',
  '2.67': 'A volume type can be chosen for volumes created at boot.',
  '2.68': 'Forced live migration and evacuation are gone.',
  '2.69': 'Partial results are returned for servers and services of unreachable cells.',
  '2.70': 'Device tags are shown for volumes and ports.',
  '2.71': 'Servers show the groups they belong to.',
  '2.72': 'Ports that request resources (bandwidth) may be used at boot.',
  '2.73': 'A reason can be recorded when locking; locked can be filtered and sorted on.',
  '2.74': 'A target host or hypervisor can be requested at boot while filters still run.',
  '2.75': 'Cleanup: unknown parameters are refused and server replies are uniform.',
  '2.76': 'External power-update event.',
  '2.77': 'An availability zone may be given when unshelving.',
  '2.78': 'NUMA topology of a server.',
  '2.79': 'Attaching a volume may say whether it is deleted with the server (delete_on_termination).',
  '2.80': 'Migrations show and filter by user and project.',
  '2.81': 'Images can be pre-cached on the hosts of an aggregate.',
  '2.82': 'Accelerator binding event.',
  '2.83': 'More list filters for ordinary users.',
  '2.84': 'Failed action events carry an error text.',
  '2.85': 'An attachment can be told to go with its server or to stay (delete_on_termination).',
  '2.86': 'Known flavor extra specs are validated.',
  '2.87': 'Volume-backed servers can be rescued.',
  '2.88': 'Hypervisor usage numbers are dropped and uptime moves into the detail view.',
  '2.89': 'Volume attachments identify the attachment and mapping.',
  '2.90': 'The guest hostname can be chosen and is visible to everyone.',
  '2.91': 'Unshelve may choose a host or drop the zone pin.',
  '2.92': 'Key pairs can only be imported; more name characters.',
  '2.93': 'Volume-backed servers can be rebuilt with a new image; volume-reimaged event.',
  '2.94': 'The hostname may be a fully qualified domain name.',
  '2.95': 'Evacuated servers are left stopped.',
  '2.96': 'Servers show the zone they are pinned to.',
  '2.97': 'Shared file systems can be attached to servers.',
  '2.98': 'Servers show the properties of their image.',
  '2.99': 'Direct SPICE console type.',
  '2.100': 'Servers show their scheduler hints.',
  '2.101': 'Volume attach is fully asynchronous.',
  '2.102': 'Flavors can be filtered by name, lose obsolete fields, and every API refuses unknown query keys.',
  '2.103': 'The undocumented os-volumes_boot alias is removed.',
  '2.104': 'The zone pin of a server can be changed by update.',
} as const satisfies Readonly<Record<Version, string>>;

const all = Object.keys(microversions) as Version[];

/** What the http floor needs to negotiate.  Spec: API-WG microversion specification. */
export const computeMicroversions: Microversions = {
  service: 'compute',
  legacyHeader: 'X-OpenStack-Nova-API-Version',
  min: '2.1',
  max: all.at(-1) ?? '2.1',
  all,
};

/** A behaviour that begins with a version: `keypairStatusesAreProper(call.version)`. Handlers ask these names and compare no versions. */
const since = (from: keyof typeof microversions) => (version: Version) => atLeast(version, from);

/** Create of a key pair answers 201 and delete 204, instead of 200 and 202. */
export const keypairStatusesAreProper = since('2.2');
/** Access to a flavor that everybody may use cannot be granted. */
export const publicFlavorRefusesAccess = since('2.7');
/** Key pairs of another user can be named by `user_id`. */
export const keypairsNameTheirUser = since('2.10');
/** Volumes that several servers may have can be attached. */
export const volumesAreShared = since('2.60');
/** Volumes can be attached to shelved servers, and detached from them. */
export const shelvedTakeVolumes = since('2.20');
/** Attaching a volume is accepted with 202 and no body. */
export const attachAnswersEmpty = since('2.101');
/** What an attachment says of its volume's end can be changed. */
export const attachmentsAreChanged = since('2.85');
/** Compute services can be forced down. */
export const servicesCanBeForcedDown = since('2.11');
/** Tokens of every console type can be looked up, before: only those of a type that is gone. */
export const tokensOfEveryConsole = since('2.31');
/** Key pair lists have pages. */
export const keypairsArePaged = since('2.35');
/** Hypervisor lists have pages. */
export const hypervisorsArePaged = since('2.33');
/** Usage reports have pages. */
export const usageIsPaged = since('2.40');
/** Services and hypervisors are named by uuid, and one list takes the pattern and asks for servers. */
export const hostsAreNamedByUuid = since('2.53');
/** Flavors show their extra specs to those who may list them. */
export const flavorsShowExtraSpecs = since('2.61');
/** Extra specs of namespaces Nova knows are checked. */
export const extraSpecsAreChecked = since('2.86');
/** Key pairs are only imported, never made. */
export const keypairsAreOnlyImported = since('2.92');
/** Flavor lists can be filtered by name. */
export const flavorsFilterByName = since('2.102');
