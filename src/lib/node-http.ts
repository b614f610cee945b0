/** Node's own http. An `import` of it reads all its names, and some of them load Node's fetch: 15 ms and some MiB at every start. */
export const { Agent, createServer, METHODS, request, STATUS_CODES } = process.getBuiltinModule('node:http');
