/** Ctrl-K: go anywhere. A screen, a worker, a queue, a task name, an id, or a search for the text. */

import * as address from "../../base/address.js";
import { byId } from "../../base/dom.js";
import { quote } from "../../base/query.js";
import { SCREENS } from "../../base/routes.js";
import { html, render, useEffect, useRef, useState } from "../../base/view/preact.js";
import { COMMON_VIEWS, linkToView, readViews } from "../query/views.js";

const MOST = 12;

/** @param {import("../../base/context/live.js").Live} live @param {(name: string) => boolean} isHidden */
export function open(live, isHidden) {
  const dialog = byId("jump");
  const close = () => dialog.close();
  dialog.onclose = () => render(null, dialog);
  render(html`<${Jump} live=${live} isHidden=${isHidden} close=${close} />`, dialog);
  if (!dialog.open) dialog.showModal();
}

function Jump({ live, isHidden, close }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef(null);
  useEffect(() => input.current.focus(), []);
  const targets = listTargets(text.trim(), live, isHidden);
  const go = (target) => {
    close();
    location.hash = target.href;
  };
  const onKey = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) (event.preventDefault(), setAt((at + step + targets.length) % targets.length));
    else if (event.key === "Enter" && targets[at]) (event.preventDefault(), go(targets[at]));
  };
  return html`<input ref=${input} type="search" role="combobox" aria-label="Go to" aria-expanded="true" aria-controls="jump-targets" aria-activedescendant=${`jump-${at}`} autocomplete="off" spellcheck=${false}
      placeholder="an id, an order number, a worker, a queue, a screen" value=${text} onInput=${(event) => (setText(event.target.value), setAt(0))} onKeyDown=${onKey} />
    <ul id="jump-targets" role="listbox" aria-label="Targets">${targets.map((target, k) => html`<li key=${target.href} id=${`jump-${k}`} role="option" aria-selected=${String(k === at)} onPointerMove=${() => at !== k && setAt(k)} onClick=${() => go(target)}><b><bdi>${target.label}</bdi></b><span>${target.kind}</span></li>`)}</ul>`;
}

/** Return `[{label, kind, href}]` for what is written. */
export function listTargets(text, live, isHidden = () => false) {
  const has = (name) => name.toLowerCase().includes(text.toLowerCase());
  const screens = Object.entries(SCREENS).filter(([name, { under, label }]) => !under && !isHidden(name) && has(label)).map(([name, { label }]) => ({ label, kind: "screen", href: address.linkTo(name) }));
  const views = [...readViews(), ...COMMON_VIEWS].filter(({ name }) => text && has(name)).map((one) => ({ label: one.name, kind: "view", href: linkToView(one) }));
  if (!text) return screens;
  const workers = [...live.workers.items.values()].filter(({ hostname }) => has(hostname)).slice(0, 4).flatMap(({ hostname }) => [
    { label: hostname, kind: "worker", href: address.linkTo("worker", {}, hostname) },
    { label: hostname, kind: "tasks of the worker", href: address.linkTo("tasks", { q: `worker:${quote(hostname)}` }) },
  ]);
  const queues = [...live.queues.items.values()].filter(({ name }) => has(name)).map(({ name }) => ({ label: name, kind: "tasks of the queue", href: address.linkTo("tasks", { q: `queue:${quote(name)}` }) }));
  const isId = /^[0-9a-f]{8}(-[0-9a-f-]{0,27})?$/i.test(text) && text.length === 36;
  const task = isId ? [{ label: text, kind: "task", href: address.linkTo("task", {}, text) }] : [];
  const search = { label: text, kind: "search tasks", href: address.linkTo("tasks", { q: text }) };
  return [...task, ...screens, ...views, ...workers, ...queues.slice(0, 4)].slice(0, MOST - 1).concat(search);
}
