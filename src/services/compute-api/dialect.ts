import type { Dialect } from '../../http/app.ts';
import { faultWords } from '../../http/fault-words.ts';

const NO_ROUTE = 'The resource could not be found.';

/** How the compute API words its errors. `identityUrl` is where a client without a token is sent; a function of the origin when it is not known
 *  before the first request.  Spec: compute api-ref "Faults"; identity middleware for 401; WebOb for paths without a route. */
export function computeDialect(identityUrl: string | ((origin: string) => string)): Dialect {
  return {
    requestIdHeader: 'x-compute-request-id',
    fault(error, status, { origin }) {
      if (status === 401) {
        const uri = typeof identityUrl === 'string' ? identityUrl : identityUrl(origin);
        return {
          body: JSON.stringify({ error: { code: 401, title: 'Unauthorized', message: error.message } }),
          headers: { 'content-type': 'application/json', 'www-authenticate': `Keystone uri="${uri}"` },
        };
      }
      // The size limiter stands before the API, so it does not speak its language.
      if (status === 413) return { body: `${error.message}\n`, headers: { 'content-type': 'text/plain; charset=UTF-8' } };
      return {
        body: JSON.stringify({ [faultWords[status] ?? 'computeFault']: { code: status, message: error.message } }),
        headers: { 'content-type': 'application/json; charset=UTF-8' },
      };
    },
    noRoute({ accept }) {
      if (accept === 'application/json') {
        return {
          status: 404,
          body: JSON.stringify({ message: `${NO_ROUTE}<br /><br />\n\n\n`, code: '404 Not Found', title: 'Not Found' }),
          headers: { 'content-type': 'application/json; charset=UTF-8' },
        };
      }
      if (accept?.includes('text/html')) {
        return {
          status: 404,
          body: `<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n  ${NO_ROUTE}<br /><br />\n\n\n\n </body>\n</html>`,
          headers: { 'content-type': 'text/html; charset=UTF-8' },
        };
      }
      return {
        status: 404,
        body: `404 Not Found\n\n${NO_ROUTE}\n\n   `,
        headers: { 'content-type': 'text/plain; charset=UTF-8' },
      };
    },
  };
}
