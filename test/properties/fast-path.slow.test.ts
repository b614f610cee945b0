import { test } from 'node:test';
import { fastAsPlain, fastOnLikeHosts, fastOnUnlikeHosts } from './fast-path.ts';

test('thousands of random clouds: the fast path gives what the plain filter-by-filter loop gives', () => {
  fastAsPlain(1000);
  fastOnUnlikeHosts(150);
  fastOnLikeHosts(150);
});
