/** The width of the panel: its edge is dragged or moved with the keyboard, and remembered. */

import { keepChoice, readChoice } from "../../base/browser/storage.js";
import { byId } from "../../base/dom.js";
import { html, useState } from "../../base/view/preact.js";

const KEY = "herald.panel";
const LEAST = 360; // px
const USUAL = 600;
const STEP = 40;
const REST = 160; // px of the screen that stay beside it

const getMost = () => Math.max(LEAST, innerWidth - REST);
const limit = (width) => Math.round(Math.min(getMost(), Math.max(LEAST, width)));

/** Give the panel the remembered width. */
export function restoreSize() {
  setWidth(read());
}

function setWidth(width) {
  byId("panel").style.setProperty("--panel", `${width}px`);
}

/** The edge. */
export function Edge() {
  const [width, setShown] = useState(() => limit(read()));
  const [held, setHeld] = useState(false);
  const change = (wanted) => {
    const next = limit(wanted);
    setShown(next);
    setWidth(next);
    keepChoice(KEY, next);
  };
  const onKeyDown = (event) => {
    const next = { ArrowLeft: width + STEP, ArrowRight: width - STEP, Home: getMost(), End: LEAST, Enter: USUAL }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the list would move as well
    change(next);
  };
  const onPointerDown = (event) => {
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    setHeld(true);
  };
  return html`<div class="edge" role="separator" tabIndex="0" aria-orientation="vertical" aria-label="Width of the panel" aria-valuemin=${LEAST} aria-valuemax=${getMost()} aria-valuenow=${width} data-held=${held ? "" : null}
    title="Drag, or use the arrow keys; a double click restores the usual width" onKeyDown=${onKeyDown} onDblClick=${() => change(USUAL)}
    onPointerDown=${onPointerDown} onPointerMove=${(event) => held && change(innerWidth - event.clientX)} onPointerUp=${() => setHeld(false)} onPointerCancel=${() => setHeld(false)}></div>`;
}

const read = () => Number(readChoice(KEY, USUAL)) || USUAL;
