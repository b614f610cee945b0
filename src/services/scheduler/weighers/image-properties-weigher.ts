import { pythonText } from '../../../model/python.ts';
import type { Weigher } from '../weigher.ts';
import { weightSettings } from '../weight-settings.ts';

/** How many servers on the host come from images with the same properties, each property with its weight.  Spec: Nova's ImagePropertiesWeigher. */
export const ImagePropertiesWeigher: Weigher = {
  name: 'ImagePropertiesWeigher',
  option: 'image_props_weight_multiplier',
  multiplier: 0,
  offAtZero: true,
  weigh(host, { wish: { imageProperties }, options }) {
    const settings = new Map(weightSettings(options.imagePropsWeights));
    let sum = 0;
    for (const { imageProperties: theirs } of host.instances.values()) {
      if (!theirs) continue;
      for (const [name, value] of Object.entries(imageProperties)) {
        const weight = settings.size > 0 ? (settings.get(name) ?? 0) : 1;
        if (Object.hasOwn(theirs, name) && text(theirs[name]) === text(value)) sum += weight;
      }
    }
    return sum;
  },
};
const text = (value: unknown) => pythonText(value).toLowerCase();
