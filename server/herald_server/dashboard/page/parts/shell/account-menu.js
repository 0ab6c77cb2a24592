/** Who is signed in, with which scopes; theme, time zone, notices, help, and signing out. */

import { byId } from "../../base/dom.js";
import { endSession } from "../../base/browser/session.js";
import { getToken, signOut } from "../../base/token.js";
import { html, render } from "../../base/view/preact.js";
import { Menu } from "../common/menu.js";

/** @param {import("../../base/context/caller.js").Caller} caller */
export function mount(caller) {
  const draw = () => render(html`<${Menu} label="Account" className="quiet" title="Who is signed in">${() => html`<${Account} caller=${caller} />`}</${Menu}>`, byId("account"));
  caller.observe(draw);
  draw();
}

function Account({ caller: { identity } }) {
  return html`<div class="account">
    ${identity ? html`<p><strong><bdi>${identity.name}</bdi></strong></p><p class="fine">${identity.scopes.join(", ")}${identity.narrowed ? "; only some tasks" : ""}</p>` : html`<p class="fine">The server did not say who is signed in.</p>`}
    <button type="button" class="small phone" onClick=${() => byId("zone").click()}>Times in UTC or local</button>
    <button type="button" class="small phone" onClick=${() => byId("theme").click()}>Theme</button>
    <button type="button" class="small" onClick=${leave}>Sign out</button>
  </div>`;
}

async function leave() {
  const url = getToken() ? "" : await endSession();
  if (url) return location.assign(url);
  signOut();
  location.hash = "#/overview";
  location.reload();
}
