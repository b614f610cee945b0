import { onEngine } from '../support/on-engine.ts';
import { placementStories } from './placement-stories.ts';

await onEngine('postgres', 'the stories of placement', placementStories);
