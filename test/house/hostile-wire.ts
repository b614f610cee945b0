import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import type { Dice } from './hostile-words.ts';

export interface Answer {
  /** 0: the connection ended without one. */
  readonly status: number;
  readonly text: string;
}
const PATIENCE_MS = 10_000;
const LOST = new Set(['ECONNRESET', 'EPIPE', 'HPE_INVALID_CONSTANT']);

/** A client that keeps its connections, and says which request hangs. */
export function openClient(base: string) {
  const url = new URL(base);
  const agent = new Agent({ keepAlive: true, maxSockets: 20 });
  return {
    close: () => agent.destroy(),
    send: (method: string, path: string, headers: Readonly<Record<string, string>>, body: Buffer | undefined): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const sent = request(
          {
            agent,
            host: url.hostname,
            port: url.port,
            method,
            path,
            headers: { ...headers, ...(body && !headers['transfer-encoding'] ? { 'content-length': String(body.length) } : {}) },
            timeout: PATIENCE_MS,
          },
          (answer) => {
            const chunks: Buffer[] = [];
            answer.on('data', (chunk: Buffer) => chunks.push(chunk));
            answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('latin1') }));
            answer.on('error', reject);
          },
        );
        sent.on('timeout', () => sent.destroy(new Error(`hangs: ${method} ${path.slice(0, 100)}`)));
        // The door may close on a body that it does not read.
        sent.on('error', (cause) => ('code' in cause && LOST.has(String(cause.code)) ? resolve({ status: 0, text: '' }) : reject(cause)));
        sent.end(body);
      }),
  };
}

/** Writes bytes as they are, then says it has no more; answers every status line that came before the door closed. Throws when it does not close. */
export function sendRaw(base: string, bytes: Buffer, how: 'end' | 'cut' = 'end'): Promise<{ statuses: number[]; text: string }> {
  const url = new URL(base);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname);
    let text = '';
    const late = setTimeout(() => {
      socket.destroy();
      reject(new Error(`hangs: ${JSON.stringify(bytes.subarray(0, 300).toString('latin1'))}`));
    }, PATIENCE_MS);
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => {}); // a reset is an answer too
    socket.on('close', () => {
      clearTimeout(late);
      resolve({ statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((found) => Number(found[1])), text });
    });
    socket.on('connect', () => {
      if (how === 'end') socket.end(bytes);
      else socket.write(bytes, () => socket.resetAndDestroy());
    });
  });
}

/** Bytes on the wire that are no request, or several, or one that never ends. */
export function rawRequest(random: Dice, more: { token: string; path: string; body: string }): Buffer {
  const { token, path, body } = more;
  const head = (lines: readonly string[]) =>
    `${[...lines, 'host: x', `x-auth-token: ${token}`, 'content-type: application/json'].join('\r\n')}\r\n\r\n`;
  const good = head(['GET /v2.1/servers HTTP/1.1']);
  const post = (extra: string) => head([`POST ${path} HTTP/1.1`, extra]);
  const forms: readonly (() => string | Buffer)[] = [
    () => good + good + good,
    () => `${good}\u0000\u0001garbage\r\n\r\n${good}`,
    () => post(`content-length: ${body.length + 100}`) + body,
    () => post('content-length: 2') + body,
    () => post('content-length: -5') + body,
    () => `${post('content-length: 5\r\ntransfer-encoding: chunked')}0\r\n\r\n${good}`,
    () => `${post('transfer-encoding: chunked')}${body.length.toString(16)}\r\n${body}`,
    () => `${post('transfer-encoding: chunked')}zz\r\n${body}\r\n`,
    () => `${post('transfer-encoding: chunked')}ffffffffffffffff\r\n${body}\r\n`,
    () => `${post('transfer-encoding: chunked')}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    () => post('transfer-encoding: gzip, chunked') + body,
    () => post('expect: 100-continue\r\ncontent-length: 3') + body,
    () => post('expect: a-miracle\r\ncontent-length: 3') + body,
    () => head([`GET ${path} HTTP/1.1`, `x-long: ${'y'.repeat(70_000)}`]),
    () => head([`GET ${path} HTTP/1.1`, ...Array.from({ length: 3000 }, (_, at) => `x-${at}: y`)]),
    () => head([`GET /${'z'.repeat(70_000)} HTTP/1.1`]),
    () => head([`GET ${path}?${'a=b&'.repeat(12_000)} HTTP/1.1`]),
    () => head(['GET http://elsewhere.example/v2.1/servers HTTP/1.1', 'connection: close']),
    () => head(['OPTIONS * HTTP/1.1']),
    () => head(['CONNECT 10.0.0.1:22 HTTP/1.1']),
    () => head([`GET ${path} HTTP/1.1`, 'connection: upgrade', 'upgrade: websocket', 'sec-websocket-key: x', 'sec-websocket-version: 13']),
    () => head([`TRACE ${path} HTTP/1.1`]),
    () => head([`GET ${path} HTTP/9.9`]),
    () => head([`get ${path} HTTP/1.1`]),
    () => head([`GET  ${path}  HTTP/1.1`]),
    () => head([`GET ${path} HTTP/1.1`, ' folded: yes']),
    () => head([`GET ${path} HTTP/1.1`, 'bad header: yes', ': empty']),
    () => Buffer.from(head([`GET ${path} HTTP/1.1`, 'x-odd: \u00ff\u00fe', 'openstack-api-version: \u00e9']), 'latin1'),
    () => Buffer.from(head([`GET ${path}\u00ff\u0080 HTTP/1.1`]), 'latin1'),
    () =>
      head([`GET ${path} HTTP/1.1`, 'x-auth-token: second', 'openstack-api-version: compute 2.1', 'openstack-api-version: compute 2.90']),
    () => `GET ${path} HTTP/1.1\n\n`,
    () => `GET ${path}\r\n\r\n`,
    () => `${head([`HEAD ${path} HTTP/1.1`])}${good}`,
    () => Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]), // a TLS greeting
    () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    () => Buffer.from(Array.from({ length: 500 }, () => random.below(256))),
    () => '',
  ];
  const bytes = random.pick(forms)();
  return typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
}
