/** Now: what needs a person, how much runs, and where it is slow. */

import { linkTo } from "../base/address.js";
import { h, schedule } from "../base/dom.js";
import { showView } from "../base/view/hooks.js";
import { html } from "../base/view/preact.js";
import { AlertList } from "../parts/alerts/alert-list.js";
import { emptyState } from "../parts/common/placeholders.js";
import { Freshness } from "../parts/shell/freshness.js";
import { OverviewData } from "./overview/data.js";
import { Failures } from "./overview/failures.js";
import { History } from "./overview/history.js";
import { NeedsYou } from "./overview/needs-you.js";
import { Queues } from "./overview/queues.js";
import { Running } from "./overview/running.js";
import { Stats } from "./overview/stats.js";

export function show(place, context) {
  const data = new OverviewData(context);
  const { attention, live } = context;
  const freshness = new Freshness();
  const [stats, ...cards] = [new Stats(), new Queues(), new Failures(), new Running()];
  const top = showView(place, context, () => html`<${NeedsYou} attention=${attention} live=${live} />`);
  showView(place, context, AlertList);
  place.append(freshness.el, stats.el);
  const history = showView(place, context, History);
  place.append(h("div", { className: "cards" }, cards.map((part) => part.el)));
  const drawTables = () => {
    freshness.draw(data);
    freshness.el.hidden = freshness.isWhole; // then the state of the connection says so
    [stats, ...cards].forEach((part) => part.draw(data));
  };
  const draw = () => {
    if (attention.isPartial) return place.replaceChildren(partialState(data));
    top.refresh();
    drawTables();
  };
  data.observe(() => schedule(draw));
  context.everySecond(drawTables);
  schedule(draw);
  return { refresh: () => (history.refresh(), draw()) };
}

// Counts over all tasks need a token for all tasks.
const partialState = ({ figures }) => emptyState("This token permits only some tasks", figures.error.message, h("a", { className: "button", href: linkTo("tasks") }, "Show these tasks"));
