/** Copies text. */

import { h } from "../dom.js";

/** Copy a text; without HTTPS there is no clipboard API, but a selection can still be copied. */
export async function copyText(/** @type {string} */ text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.body.appendChild(h("textarea", { value: text, className: "visually-hidden" }));
  area.select();
  document.execCommand("copy");
  area.remove();
}
