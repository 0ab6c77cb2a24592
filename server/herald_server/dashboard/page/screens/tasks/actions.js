/** What can be done with selected tasks, or with all that match. */

import { copyText } from "../../base/browser/clipboard.js";
import { download } from "../../base/browser/download.js";
import { getExportColumns } from "../../parts/list/columns.js";
import { pluralize } from "../../base/format.js";

/** Return the actions of the selection: `ids()` are the ticked tasks, `query()` selects all. */
export function createActions({ ids, query, range }) {
  const select = (isAll) => (isAll ? { query: query() ?? "", ...range.query } : { ids: ids() });
  const order = (action) => async (isAll) => (await import("../../parts/orders/bulk-sheet.js")).openBulkSheet({ action, ...select(isAll) });
  return [
    { label: "Retry …", strong: true, run: order("retry") },
    { label: "Cancel …", danger: true, run: order("cancel") },
    { label: "Copy ids", onlySelected: true, run: async () => (await copyText(ids().join("\n")), `Copied ${pluralize(ids().length, "id")}.`) },
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
