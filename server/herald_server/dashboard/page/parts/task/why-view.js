/** Why a task is not done: asked once without being told to, and again on demand. */

import { html, useEffect, useState } from "../../base/view/preact.js";
import { get } from "../../base/http.js";
import { Icon } from "../common/view.js";

const SETTLED_MS = 1_500; // most tasks start sooner; then nobody needs to ask

/** @param {{path: string, state: string}} props */
export function Why({ path, state }) {
  const [answer, setAnswer] = useState(null);
  const ask = async () => {
    setAnswer({ text: "Asking the workers …" });
    setAnswer(await get(`${path}/why`).then(({ message, advice }) => ({ text: message, advice }), (error) => ({ text: error.message })));
  };
  useEffect(() => {
    setAnswer(null);
    const timer = setTimeout(ask, SETTLED_MS);
    return () => clearTimeout(timer);
  }, [path, state]);
  if (!answer) return null;
  return html`<div class="notice why" data-tone="wait" role="status"><${Icon} name="half" /><div><p class="why-text">${answer.text}</p>${answer.advice && html`<p class="fine">${answer.advice}</p>`}</div>
    <button type="button" class="small" onClick=${ask}>Ask again</button></div>`;
}
