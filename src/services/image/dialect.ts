import type { Dialect } from '../../http/app.ts';
import { STATUS_CODES } from '../../lib/node-http.ts';

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** An error page as the image API words it. Stock clients strip the tags line by line and print what is left. */
export function faultPage(status: number, message: string): string {
  const title = `${status} ${STATUS_CODES[status] ?? 'Error'}`;
  return `<html>\n <head>\n  <title>${title}</title>\n </head>\n <body>\n  <h1>${title}</h1>\n  ${escaped(message)}<br /><br />\n\n\n\n </body>\n</html>`;
}

const HTML = { 'content-type': 'text/html; charset=UTF-8' };

/** Paths with the methods they have, to tell a wrong method (405) from a wrong path (404). */
export function imageDialect(routes: Readonly<Record<string, unknown>>): Dialect {
  const known = Object.keys(routes).map((key) => {
    const [method = '', path = ''] = key.split(' ');
    const pattern = path
      .split('/')
      .map((part) => (part.startsWith(':') ? '[^/]+' : part))
      .join('/');
    return { method, path: new RegExp(`^${pattern}/?$`) };
  });
  return {
    fault: (error, status, { origin }) => ({
      body: faultPage(status, error.message),
      headers: status === 401 ? { ...HTML, 'www-authenticate': `Keystone uri="${origin}/identity"` } : HTML,
    }),
    noRoute({ method, path }) {
      const place = path.split('?', 1)[0] ?? '/';
      const methods = known.filter((route) => route.path.test(place)).map((route) => route.method);
      if (methods.length === 0) return { status: 404, body: faultPage(404, 'The resource could not be found.'), headers: HTML };
      const message = `The method ${method} is not allowed for this resource.`;
      return { status: 405, body: faultPage(405, message), headers: { ...HTML, allow: methods.join(', ') } };
    },
  };
}
