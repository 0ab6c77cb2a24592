/** The sheet that confirms the purge of a queue by its depth. */

import { formatCount, pluralize } from "../../base/format.js";
import { post } from "../../base/http.js";
import { html, useState } from "../../base/view/preact.js";
import { openDialog } from "./dialog.js";

/** @param {{queue: string, depth: number}} wanted */
export const openPurgeSheet = (wanted) => openDialog(PurgeSheet, wanted, `Purge the queue ${wanted.queue}`);

function PurgeSheet({ queue, depth, close }) {
  const [known, setKnown] = useState(depth);
  const [typed, setTyped] = useState("");
  const [said, setSaid] = useState({ text: "", isBad: false, isDone: false });
  const [isBusy, setBusy] = useState(false);
  const confirm = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const order = await post(`api/v1/queues/${encodeURIComponent(queue)}/purge`, { expect_depth: known });
      setSaid({ text: order.message, isBad: order.state !== "done", isDone: true });
    } catch (error) {
      if (error.body?.depth !== undefined) (setKnown(error.body.depth), setTyped(""));
      setSaid({ text: error.message, isBad: true, isDone: false });
    }
    setBusy(false);
  };
  return html`<form onSubmit=${confirm} aria-busy=${String(isBusy)}>
    <h2>Purge <bdi>${queue}</bdi></h2>
    <p class=${said.isBad ? "bad-text" : ""} role="alert" hidden=${!said.text}>${said.text}</p>
    ${!said.isDone && html`<p>${pluralize(known, "message")} in this queue will be removed. Their tasks never start, and this cannot be undone.</p>
      <label>Type ${formatCount(known)} to confirm <input class="field" inputmode="numeric" autocomplete="off" value=${typed} onInput=${(event) => setTyped(event.target.value)} /></label>`}
    <div class="buttons">
      ${!said.isDone && html`<button type="submit" class="danger" disabled=${isBusy || typed.replace(/\D/g, "") !== String(known)}>Remove ${pluralize(known, "message")}</button>`}
      <button type="button" onClick=${close}>Close</button>
    </div>
  </form>`;
}
