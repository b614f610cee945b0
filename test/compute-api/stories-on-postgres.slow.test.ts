import { onEngine } from '../support/on-engine.ts';
import { apiStories } from './api-stories.ts';

await onEngine('postgres', 'the stories of the compute API', apiStories);
