import type { Dialect } from '../../http/app.ts';

const KEY: Readonly<Record<number, string>> = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  406: 'notAcceptable',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  429: 'overLimit',
  501: 'notImplemented',
  503: 'serviceUnavailable',
};

/** The block storage API's form of an error.  Spec: block storage api-ref, "Faults". */
export const volumeDialect: Dialect = {
  fault(error, status, { origin }) {
    const headers = { 'content-type': 'application/json' };
    if (status === 401)
      return {
        body: JSON.stringify({ error: { code: 401, title: 'Unauthorized', message: error.message } }),
        headers: { ...headers, 'www-authenticate': `Keystone uri="${origin}/identity"` },
      };
    const fault = { code: status, message: error.message, ...(status === 413 ? { retryAfter: '0' } : {}) };
    return {
      body: JSON.stringify({ [KEY[status] ?? 'computeFault']: fault }),
      headers: status === 413 ? { ...headers, 'retry-after': '0' } : headers,
    };
  },
};
