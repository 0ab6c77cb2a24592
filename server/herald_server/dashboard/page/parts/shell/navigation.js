/** The navigation: a link for each screen, the rest in a menu, and the flags beside them. */

import * as address from "../../base/address.js";
import { byId, schedule } from "../../base/dom.js";
import { SCREENS } from "../../base/routes.js";
import { html, render } from "../../base/view/preact.js";
import { Menu } from "../common/menu.js";

/** @type {Map<string, {n: number, noun: string, tone: string}>} */
const flags = new Map();
let current = "";
let isNarrowed = false; // the token is for some tasks only

/** Leave out what a token for some tasks may not see. */
export function mount(/** @type {import("../../base/context/caller.js").Caller} */ caller) {
  caller.observe(({ identity }) => {
    isNarrowed = identity.narrowed;
    draw();
  });
}

/** Whether a screen is not for this token. */
export const isHidden = (name) => isNarrowed && !SCREENS[name].narrow && !SCREENS[name].under;

/** Set the number beside a label, and what it counts; 0 removes it. */
export function setFlag(screen, n, noun, tone = "bad") {
  const old = flags.get(screen);
  if ((old?.n ?? 0) === n && (!n || old.tone === tone)) return;
  flags.set(screen, { n, noun, tone });
  schedule(draw);
}

/** Mark the link of the present screen, and let all links keep the time range. */
export function setCurrent(screen) {
  current = screen;
  draw();
  for (const link of document.querySelectorAll("a[data-home]")) link.href = address.linkTo("overview");
}

function draw() {
  const shown = Object.entries(SCREENS).filter(([name, { under }]) => !under && !isHidden(name));
  const [inMenu, direct] = [shown.filter(([, { menu }]) => menu), shown.filter(([, { menu }]) => !menu)];
  const open = inMenu.find(([name]) => name === current);
  render(html`${direct.map(([name, route]) => html`<${Entry} key=${name} name=${name} label=${route.label} />`)}
    <${Menu} label=${html`<span class=${open ? "here" : ""}>${open ? open[1].label : "More"}</span> <span aria-hidden="true">▾</span>`} name=${open ? `More screens; present: ${open[1].label}` : "More screens"} className="quiet more">
      <div class="links">${inMenu.map(([name, route]) => html`<${Entry} key=${name} name=${name} label=${route.label} />`)}
        <button type="button" class="quiet phone" onClick=${() => byId("help").click()}>Help</button></div>
    </${Menu}>`, byId("nav"));
}

function Entry({ name, label }) {
  const { n = 0, noun, tone } = flags.get(name) ?? {};
  return html`<a href=${address.linkTo(name)} data-screen=${name} aria-current=${name === current ? "page" : null} title=${n ? `${n} ${noun}` : null}>
    ${label}${n > 0 && html`<span class="flag" data-tone=${tone}>${n}<span class="visually-hidden"> ${noun}</span></span>`}</a>`;
}
