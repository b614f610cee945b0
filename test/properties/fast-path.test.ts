import { test } from 'node:test';
import { fastAsPlain, fastOnLikeHosts, fastOnUnlikeHosts } from './fast-path.ts';

test('the fast path gives the hosts, weights and reasons of the plain filter-by-filter loop, whatever happens in between', () =>
  fastAsPlain(60));
test('and so where every host is of its own size: the scale of the weights moves with nearly every choice', () => fastOnUnlikeHosts(8));
test('and so on clouds of like hosts, where most weigh the same', () => fastOnLikeHosts(8));
