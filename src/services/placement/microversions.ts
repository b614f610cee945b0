import type { Microversions } from '../../http/negotiate.ts';
import { atLeast, type Version } from '../../lib/shape.ts';

/** Every microversion of the placement API with what it brought. */
export const placementMicroversions = {
  '1.0': 'Resource providers, inventories, allocations and usages.',
  '1.1': 'Providers have aggregates.',
  '1.2': 'Resource classes can be listed and custom ones made.',
  '1.3': 'Provider lists can be filtered by aggregate.',
  '1.4': 'Provider lists can be filtered by what is left of resources.',
  '1.5': 'All inventories of a provider can be deleted at once.',
  '1.6': 'Traits, and traits of providers.',
  '1.7': 'PUT of a resource class creates it and needs no body.',
  '1.8': 'Allocations name project and user.',
  '1.9': 'Usages of a project.',
  '1.10': 'Allocation candidates.',
  '1.11': 'Providers link to their allocations.',
  '1.12': 'Allocations are written in the form in which they are read.',
  '1.13': 'Allocations of several consumers in one request.',
  '1.14': 'Providers form trees.',
  '1.15': 'Answers say when what they show was last changed.',
  '1.16': 'Candidates can be limited.',
  '1.17': 'Candidates can require traits, and show those of providers.',
  '1.18': 'Provider lists can require traits.',
  '1.19': 'Aggregates are guarded by the provider generation.',
  '1.20': 'Creating a provider answers with it.',
  '1.21': 'Candidates can be filtered by aggregate.',
  '1.22': 'Traits can be forbidden.',
  '1.23': 'Errors carry codes.',
  '1.24': 'Several member_of words, all of which must hold.',
  '1.25': 'Groups of resources, each from one provider.',
  '1.26': 'All of an inventory may be reserved.',
  '1.27': 'Candidates show every resource of their providers.',
  '1.28': 'Consumers have generations.',
  '1.29': 'Candidates use several providers of one tree.',
  '1.30': 'Inventories and allocations can be moved between providers at once (reshaper).',
  '1.31': 'Candidates can be limited to a tree.',
  '1.32': 'Aggregates can be forbidden.',
  '1.33': 'Groups have names.',
  '1.34': 'Candidates say which provider serves which group.',
  '1.35': 'The root of a candidate can be asked for traits.',
  '1.36': 'Groups can be asked to stand in one subtree.',
  '1.37': 'Providers can move to another tree.',
  '1.38': 'Consumers have types.',
  '1.39': 'One of several traits can be asked for, and required can be repeated.',
} as const;

const all = Object.keys(placementMicroversions) as Version[];
export const placementVersions: Microversions = {
  service: 'placement',
  min: '1.0',
  max: all.at(-1) ?? '1.0',
  all,
  vary: 'openstack-api-version',
  form: /^\d+\.\d+$/,
};

/** A behaviour that begins with a version. Handlers ask these names and compare no versions. */
const since = (from: keyof typeof placementMicroversions) => (version: Version) => atLeast(version, from);

export const allInventoriesCanBeDeleted = since('1.5');
export const classesAreMadeByPut = since('1.7');
export const allocationsAreObjects = since('1.12');
export const answersAreDated = since('1.15');
export const aggregatesAreGuarded = since('1.19');
export const newProvidersAreShown = since('1.20');
export const traitsCanBeForbidden = since('1.22');
export const errorsHaveCodes = since('1.23');
export const memberOfCanRepeat = since('1.24');
export const allCanBeReserved = since('1.26');
export const summariesShowAll = since('1.27');
export const consumersHaveGenerations = since('1.28');
export const candidatesUseTrees = since('1.29');
export const aggregatesCanBeForbidden = since('1.32');
export const groupsHaveNames = since('1.33');
export const candidatesShowMappings = since('1.34');
export const groupsCanShareSubtree = since('1.36');
export const providersCanMove = since('1.37');
export const consumersHaveTypes = since('1.38');
export const anyTraitCanBeAsked = since('1.39');
export const summariesShowTraits = since('1.17');
