/** Views: queries with their columns as links; the reader's own are kept in this browser. */

import { linkTo } from "../../base/address.js";
import { keepChoice, readChoice } from "../../base/browser/storage.js";

const KEY = "herald.views";

/** Views that everyone has. */
export const COMMON_VIEWS = [
  { name: "Failed in the last hour", params: { q: "state:FAILURE", at: "1h" } },
  { name: "Lost", params: { q: "state:LOST" } },
  { name: "Waiting, the longest first", params: { q: "waiting sort:-wait", cols: "state,when,name,detail,queue,wait" } },
  { name: "Running, the longest first", params: { q: "running sort:started", cols: "state,when,name,detail,worker,runtime" } },
  { name: "Slow in the last hour", params: { q: "succeeded took:>10s", at: "1h" } },
];

/** Return the reader's own views: `[{name, params}]`. */
export const readViews = () => [readChoice(KEY, [])].flat().filter((one) => typeof one?.name === "string" && one.params);

/** Keep a view; one of the same name is replaced. */
export const saveView = (name, params) => write([...readViews().filter((one) => one.name !== name), { name, params }]);
export const removeView = (name) => write(readViews().filter((one) => one.name !== name));

/** The link to a view; it has its own time range. */
export const linkToView = ({ params: { q = "", cols = "", at = null, group = "" } }) => linkTo("tasks", { q, cols, at, group });

const write = (views) => keepChoice(KEY, views);
