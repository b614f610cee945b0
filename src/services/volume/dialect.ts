import type { Dialect } from '../../http/app.ts';
import { faultWords } from '../../http/fault-words.ts';

const WORDS: Readonly<Record<number, string>> = { ...faultWords, 406: 'notAcceptable' };

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
      body: JSON.stringify({ [WORDS[status] ?? 'computeFault']: fault }),
      headers: status === 413 ? { ...headers, 'retry-after': '0' } : headers,
    };
  },
};
