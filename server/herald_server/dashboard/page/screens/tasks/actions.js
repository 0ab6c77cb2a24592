/** What can be done with selected tasks, or with all that match. */

import { copyText } from "../../base/browser/clipboard.js";
import { download } from "../../base/browser/download.js";
import { getExportColumns } from "../../parts/list/columns.js";
import { pluralize } from "../../base/format.js";
import { toFilter } from "../../base/query.js";

/** Return the actions of the selection: `ids()` are the ticked tasks, `query()` selects all. */
export function createActions({ ids, query, range }) {
  const select = (isAll) => (isAll ? { query: query() ?? "", ...range.query } : { ids: ids() });
  const order = (action) => (isAll) => openSheet({ action, ...select(isAll) });
  return [
    { label: "Retry …", strong: true, run: order("retry") },
    { label: "Cancel …", danger: true, run: order("cancel") },
    { label: "Copy ids", onlySelected: true, run: async () => (await copyText(ids().join("\n")), `Copied ${pluralize(ids().length, "id")}.`) },
  ];
}

const openSheet = async (wanted) => (await import("../../parts/orders/bulk-sheet.js")).openBulkSheet(wanted);

const UNFINISHED = ["PENDING", "RECEIVED", "STARTED", "RETRY"];

/** Return the orders that fit all tasks of a query: `[{label, run}]`; none for the query of all tasks. */
export function createOrdersForAll({ text, words, range }) {
  if (words.every(({ key }) => key === "sort")) return [];
  const { state = [] } = toFilter(words).filter;
  const order = (action) => () => openSheet({ action, query: text, ...range.query });
  return [
    ...(!state.length || state.some((one) => !UNFINISHED.includes(one)) ? [{ label: "Retry all …", run: order("retry") }] : []),
    ...(!state.length || state.some((one) => UNFINISHED.includes(one)) ? [{ label: "Cancel all …", run: order("cancel") }] : []),
  ];
}

/** Download all tasks that match; `onProgress` gets a short text, empty at the end. */
export async function downloadMatching(format, { text, range, columns }, onProgress) {
  const params = new URLSearchParams({ format, columns: getExportColumns(columns).join(","), ...(text ? { q: text } : {}), ...range.query });
  onProgress("Downloading …");
  try {
    await download(`api/v1/tasks/export?${params}`, `tasks.${format}`, (bytes) => onProgress(`${(bytes / 1e6).toFixed(1)} MB`));
    onProgress("");
  } catch (error) {
    onProgress(`Failed: ${error.message}`);
  }
}
