/** Components that every screen uses: card, state of an answer, badge, name, number with its bar. */

import { getStateLook, getWorkerLook } from "../../base/states.js";
import { useNode } from "../../base/view/hooks.js";
import { html, useEffect, useMemo, useRef, useState } from "../../base/view/preact.js";

let count = 0;

/** A part of a screen with a heading; `note` and `tools` stand at its right. */
export function Card({ title, href, note, tools, className = "", level = 2, children }) {
  const id = useMemo(() => `view-card-${++count}`, []);
  return html`<section class=${`card ${className}`} aria-labelledby=${id}>
    <div class="bar"><${`h${level}`} id=${id}>${href ? html`<a href=${href}>${title}</a>` : title}</${`h${level}`}><p class="card-note">${note}</p>${tools}</div>
    <div class="body">${children}</div>
  </section>`;
}

/**
 * What an answer holds, or why there is nothing: `known` is false before the first answer,
 * `empty` a sentence (or a node) if there is nothing to show, `children` a function.
 */
export function State({ known, error, retry, empty, ok, children }) {
  if (error) return html`<div class="placeholder" data-tone="bad" role="alert"><h3><${Icon} name="warn" />No answer</h3><p>${error.message}</p>${retry && html`<button type="button" onClick=${retry}>Try again</button>`}</div>`;
  if (!known) return html`<div class="placeholder skeleton" role="status" aria-label="Loading">${[1, 2, 3, 4].map(() => html`<span class="skeleton-line"></span>`)}</div>`;
  if (empty) return html`<div class="placeholder" data-tone=${ok ? "good" : null}>${ok && html`<h3><${Icon} name="check" />${ok}</h3>`}<p>${empty}</p></div>`;
  return typeof children === "function" ? children() : children;
}

/** An icon of the sprite in the page; always beside text, so hidden from screen readers. */
export function Icon({ name }) {
  return html`<svg class="icon" aria-hidden="true"><use href=${`#${name}`} /></svg>`;
}

/** Icon, colour and label of a look; `text` instead of its label. */
export const Badge = ({ look, text = look.label }) => html`<span class="state" data-tone=${look.tone} title=${look.means || null}><${Icon} name=${look.icon} />${text}</span>`;

export const StateBadge = ({ state }) => html`<${Badge} look=${getStateLook(state)} />`;
export const WorkerBadge = ({ state }) => html`<${Badge} look=${getWorkerLook(state)} />`;

/** A dotted name; the path before the last part is cut first. */
export function Name({ name }) {
  const cut = (name ?? "").lastIndexOf(".") + 1;
  return html`<bdi class="name" title=${name}><span class="path">${name?.slice(0, cut)}</span><span class="last">${name?.slice(cut) ?? "name not known yet"}</span></bdi>`;
}

/** A share, 0 to 1, as a bar; the number stands beside it. */
export const Bar = ({ share, tone = "busy" }) =>
  html`<span class="progress-bar" aria-hidden="true" data-tone=${tone}><i style=${{ width: `${Math.round(1_000 * Math.min(1, Math.max(0, share))) / 10}%` }}></i></span>`;

/** A button that has the focus when it appears; not again, so that it can be left. */
export function FocusedButton({ children, ...props }) {
  const ref = useRef(null);
  useEffect(() => ref.current.focus(), []);
  return html`<button type="button" ref=${ref} ...${props}>${children}</button>`;
}

/** A button that asks in place: `ask` is the question, `yes` the label that confirms. */
export function ConfirmButton({ label, ask, yes, className = "small", onConfirm }) {
  const [asking, setAsking] = useState(false);
  if (!asking) return html`<button type="button" class=${className} onClick=${() => setAsking(true)}>${label}</button>`;
  return html`<span class="confirm" role="group" aria-label=${ask}>${ask}
    <${FocusedButton} class=${`${className} danger strong`} onClick=${() => (setAsking(false), onConfirm())}>${yes}</${FocusedButton}>
    <button type="button" class=${className} onClick=${() => setAsking(false)}>No</button></span>`;
}

/** A DOM node that another part has made. */
export const Node = ({ node, className = "" }) => html`<span class=${`view ${className}`} ref=${useNode(node)}></span>`;
