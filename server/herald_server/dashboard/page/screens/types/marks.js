/** Choosing a mark and a window, and setting a mark. */

import { linkWith } from "../../base/address.js";
import { formatTime } from "../../base/format.js";
import { post } from "../../base/http.js";
import { html, useState } from "../../base/view/preact.js";

export const WINDOWS = { "15m": "15 min", "1h": "1 h", "6h": "6 h", "12h": "12 h" };

const change = (changes) => (location.hash = linkWith(changes));

/** Two lists: the mark (`marks`, the newest first), and how much time each side has. */
export function MarkPicker({ marks, chosen, window }) {
  return html`<span class="mark-picker">
    <label>since <select value=${chosen} onChange=${(event) => change({ mark: event.target.value })}>
      ${marks.map(({ id, what, at }) => html`<option value=${id}>${formatTime(at)} ${what}</option>`)}
    </select></label>
    <label>each side <select value=${window} onChange=${(event) => change({ window: event.target.value })}>
      ${Object.entries(WINDOWS).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
    </select></label>
  </span>`;
}

/** A field that sets a mark of this moment; `onSet` runs once it is stored. */
export function MarkForm({ onSet }) {
  const [answer, setAnswer] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    const field = event.target.elements.what;
    setAnswer("Setting the mark …");
    try {
      const { id } = await post("api/v1/marks", { what: field.value });
      field.value = "";
      setAnswer("The mark is set.");
      onSet(id);
    } catch (error) {
      setAnswer(error.message);
    }
  };
  return html`<form class="mark-form" onSubmit=${submit}>
    <label>Mark this moment <input name="what" required maxlength="200" placeholder="deploy 4f1c" autocomplete="off" /></label>
    <button type="submit" class="small">Set mark</button><span role="status">${answer}</span>
  </form>`;
}

/** What to do where no mark is known. */
export const NO_MARK = html`No deploy is marked yet. A CI job sets a mark with <code>herald mark "deploy 4f1c"</code>; workers with <code>HERALD_RELEASE</code> set their own.`;
