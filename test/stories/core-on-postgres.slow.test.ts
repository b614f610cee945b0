import { onEngine } from '../support/on-engine.ts';
import { coreStories } from './core-stories.ts';

await onEngine('postgres', 'the core', coreStories);
