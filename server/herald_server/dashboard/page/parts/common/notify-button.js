/** A button that turns browser notifications of a view on or off. */

import { html, useState } from "../../base/view/preact.js";
import * as notices from "../shell/notices.js";

/** @param {{query: string|null}} props  `query` null: problems */
export function NotifyButton({ query }) {
  const [problem, setProblem] = useState("");
  const [, redraw] = useState(0);
  const on = notices.isOnFor(query);
  const what = query === null ? "of new problems" : "of tasks that match";
  const toggle = async () => {
    setProblem(await notices.toggle(query));
    redraw((n) => n + 1);
  };
  return html`<button type="button" class="small" aria-pressed=${String(on)} title=${`Browser notifications ${what}`} onClick=${toggle}>${on ? "Notices on" : "Notify me"}</button>
    ${problem && html`<span class="fine" role="alert">${problem}</span>`}`;
}
