/** Overview: all that an operator asks first, on one screen. */

import { link } from "../address.js";
import { h, soon } from "../dom.js";
import { empty } from "../parts/blank.js";
import { Feed } from "./overview/feed.js";
import { Failures } from "./overview/failures.js";
import { History } from "./overview/history.js";
import { Numbers } from "./overview/numbers.js";
import { Queues } from "./overview/queues.js";
import { Running } from "./overview/running.js";
import { Stuck } from "./overview/stuck.js";
import { System } from "./overview/system.js";
import { Trust } from "./overview/trust.js";
import { Watch } from "./overview/watch.js";
import { Workers } from "./overview/workers.js";

export function show(place, visit) {
  const watch = new Watch(visit);
  const parts = [new System(), new Trust(), new Numbers(), new History(visit), new Queues(), new Failures(), new Stuck(), new Workers(), new Running(), new Feed(visit)];
  const [system, trust, numbers, history, ...cards] = parts;
  place.append(system.el, trust.el, numbers.el, history.el, h("div", { className: "cards" }, cards.map((part) => part.el)));
  let part = false; // this token sees a part of the tasks only
  const draw = () => {
    if (part) return;
    part = watch.figures?.error?.status === 403;
    if (part) place.replaceChildren(some(watch));
    else parts.forEach((each) => each.draw(watch));
  };
  watch.observe(() => soon(draw));
  visit.tick(draw);
  soon(draw);
  return { refresh: () => (parts.forEach((each) => each.refresh?.()), draw()) };
}

// Counts over all tasks are not for everybody.
const some = ({ figures }) => empty("This token may see some tasks only", figures.error.message, h("a", { className: "button", href: link("tasks") }, "Show them"));
