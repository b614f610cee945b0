import type { Dialect, ErrorRequest } from '../../http/app.ts';
import type { CloudError } from '../../model/errors.ts';
import { liking } from './accept.ts';
import { methodsByPath } from './methods.ts';
import { errorsHaveCodes, placementVersions } from './microversions.ts';

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  409: 'Conflict',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};
/** What each status says before the detail. */
const EXPLANATIONS: Readonly<Record<number, string>> = {
  400: 'The server could not comply with the request since it is either malformed or otherwise incorrect.',
  401: 'This server could not verify that you are authorized to access the document you requested.',
  403: 'Access was denied to this resource.',
  404: 'The resource could not be found.',
  406: 'The resource could not be generated that was acceptable to your browser.',
  409: 'There was a conflict when trying to complete your request.',
  413: 'The body of your request was too large for this server.',
  415: 'The request media type is not supported by this server.',
  500: 'The server has either erred or is incapable of performing the requested operation.',
  503: 'The server is currently unavailable. Please try again at a later time.',
};

function sentence(error: CloudError): string {
  switch (error.code) {
    case 'policy.forbids':
      return `Policy does not allow ${String(error.params.rule)} to be performed.`;
    case 'version.malformed':
      return `invalid version string: ${String(error.params.version)}`;
    case 'version.not_supported':
      return `Unacceptable version header: ${String(error.params.version)}`;
    case 'route.not_found':
    case 'route.not_in_version':
      return '';
    default:
      return error.message;
  }
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** The error document, in the form the client likes best: JSON unless HTML or plain text is all that it takes.
 *  Spec: API-WG errors guideline; placement api-ref, "Errors". */
function document(status: number, detail: string, request: ErrorRequest, more: { code?: string | undefined; noVersion?: boolean }) {
  const title = TITLES[status] ?? 'Error';
  const explanation = status === 405 ? `The method ${request.method} is not allowed for this resource.` : (EXPLANATIONS[status] ?? '');
  const text = `${explanation}\n\n ${detail}  `;
  const [json, html, plain] = ['application/json', 'text/html', 'text/plain'].map((type) => liking(request.accept, type)) as [
    number,
    number,
    number,
  ];
  if (json === 0 && html > 0)
    return {
      type: 'text/html; charset=UTF-8',
      body: `<html><head><title>${status} ${title}</title></head><body><h1>${status} ${title}</h1><p>${escaped(text)}</p></body></html>\n`,
    };
  if (json === 0 && plain > 0) return { type: 'text/plain; charset=UTF-8', body: `${status} ${title}\n\n${text}\n` };
  const body = {
    status,
    title,
    detail: text,
    ...(request.version !== undefined && errorsHaveCodes(request.version) ? { code: more.code ?? 'placement.undefined_code' } : {}),
    request_id: request.requestId,
    ...(more.noVersion ? { max_version: placementVersions.max, min_version: placementVersions.min } : {}),
  };
  return { type: 'application/json', body: JSON.stringify({ errors: [body] }) };
}

export const placementDialect: Dialect = {
  fault(error, status, request) {
    const code = typeof error.params.comment === 'string' ? error.params.comment : undefined;
    const { type, body } = document(status, sentence(error), request, { code, noVersion: error.code === 'version.not_supported' });
    const allow = Array.isArray(error.params.allow) ? { allow: error.params.allow.join(', ') } : {};
    return { body, headers: { 'content-type': type, ...allow, ...(status === 401 ? { 'www-authenticate': 'Keystone' } : {}) } };
  },
  noRoute(request) {
    const methods = methodsByPath(request.path);
    const status = methods ? 405 : 404;
    const { type, body } = document(status, '', request, {});
    return { status, body, headers: { 'content-type': type, ...(methods ? { allow: methods.join(', ') } : {}) } };
  },
};
