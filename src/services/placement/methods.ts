/** Every path of the API with its methods: the routes are held against this by a test. */
const PATHS: readonly (readonly [path: RegExp, methods: readonly string[]])[] = [
  [/^\/?$/, ['GET']],
  [/^\/resource_classes$/, ['GET', 'POST']],
  [/^\/resource_classes\/[^/]+$/, ['GET', 'PUT', 'DELETE']],
  [/^\/resource_providers$/, ['GET', 'POST']],
  [/^\/resource_providers\/[^/]+$/, ['GET', 'DELETE', 'PUT']],
  [/^\/resource_providers\/[^/]+\/inventories$/, ['GET', 'POST', 'PUT', 'DELETE']],
  [/^\/resource_providers\/[^/]+\/inventories\/[^/]+$/, ['GET', 'PUT', 'DELETE']],
  [/^\/resource_providers\/[^/]+\/(usages|allocations)$/, ['GET']],
  [/^\/resource_providers\/[^/]+\/aggregates$/, ['GET', 'PUT']],
  [/^\/resource_providers\/[^/]+\/traits$/, ['GET', 'PUT', 'DELETE']],
  [/^\/allocations$/, ['POST']],
  [/^\/allocations\/[^/]+$/, ['GET', 'PUT', 'DELETE']],
  [/^\/(allocation_candidates|traits|usages)$/, ['GET']],
  [/^\/traits\/[^/]+$/, ['GET', 'PUT', 'DELETE']],
  [/^\/reshaper$/, ['POST']],
];
/** The methods a path has, or undefined for a path that is none of the API's. */
export const methodsByPath = (path: string): readonly string[] | undefined => PATHS.find(([form]) => form.test(path))?.[1];
