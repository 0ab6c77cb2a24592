/** The live feed of state changes. */

import { Feed } from "../../parts/list/feed.js";

export function show(place, context) {
  const feed = new Feed(context);
  place.append(feed.el);
  context.everySecond(() => feed.draw());
  return { refresh: () => feed.refresh() };
}
