/** A dialog of its own for each order, removed when it is closed. */

import { h } from "../../base/dom.js";
import { loadStylesheet } from "../../base/view/stylesheets.js";
import { html, render } from "../../base/view/preact.js";

/** Open `View` in a dialog; it gets `props` and `close`. */
export async function openDialog(View, props, label) {
  await loadStylesheet("orders.css");
  const dialog = h("dialog", { className: "order-sheet view", "aria-label": label });
  document.body.append(dialog);
  const close = () => dialog.close();
  dialog.addEventListener("close", () => {
    render(null, dialog);
    dialog.remove();
  });
  render(html`<${View} ...${props} close=${close} />`, dialog);
  dialog.showModal();
}
