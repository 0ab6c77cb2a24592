/** How many tasks were found, and what stands in an empty list. */

import * as address from "../../base/address.js";
import { h } from "../../base/dom.js";
import { formatCount, pluralize } from "../../base/format.js";
import { emptyState, skeleton } from "../../parts/common/placeholders.js";

/** Return the sentence above the list. */
export function describeFound({ window, reader, isLoading, arriving, total, unseen, held, sort, problem }) {
  const n = window.size;
  if (held !== null) return `held: ${pluralize(n, "task")} stay as they are, ${formatCount(held)} new`;
  if (problem) return n ? "rows of the query before" : "";
  if (isLoading) return describeSearch(reader) || (arriving ? `reading … ${formatCount(arriving)}` : "reading …");
  if (reader.error) return `older tasks could not be read: ${reader.error.message}`;
  const changed = unseen ? `${pluralize(unseen, "change")} since; search again to include them` : "";
  if (!window.more) return [pluralize(n, "task"), describeSearch(reader), changed].filter(Boolean).join(" · ");
  const newest = sort ? `first ${formatCount(n)}` : `newest ${formatCount(n)}`;
  const found = total === null || total < n ? `${newest}; more as you scroll` : `${newest} of ${formatCount(total)}`;
  return [found, describeSearch(reader), changed].filter(Boolean).join(" · ");
}

function describeSearch({ searched, toSearch }) {
  if (searched === null) return "";
  return toSearch ? `searched ${formatCount(searched)} of ${formatCount(toSearch)}` : `searched ${formatCount(searched)}`;
}

/** Return what stands in an empty list. */
export function createPlaceholder(isLoading, isFiltered, problem) {
  if (problem) return emptyState("Correct the search to see results.");
  if (isLoading) return skeleton(8);
  if (isFiltered)
    return emptyState("No task matches", "New tasks that match appear here automatically.", h("a", { href: address.linkTo("tasks", { at: null }), className: "button" }, "Show all tasks"));
  return emptyState("No task yet",
    h("span", {}, "The first task appears here automatically. Start workers so that their events reach Herald: ", h("code", {}, "celery -A proj worker -I herald_worker.auto"), "."),
    h("span", {}, "If tasks are missing, run ", h("code", {}, "herald doctor"), " to find the cause."));
}
