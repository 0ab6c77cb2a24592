/** A button that opens a small box below it; Esc or a click outside closes it. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../../base/view/preact.js";

const EDGE = 8; // least distance from the edge of the window in pixels

/**
 * `<Menu label="Columns" name="Choose columns">…</Menu>`; `children` is drawn while it is open,
 * or a function that gets `close`. `name` is for screen readers where the label is no word.
 */
export function Menu({ label, name, title, className = "quiet", children, onOpen }) {
  const [open, setOpen] = useState(false);
  const button = useRef(null);
  const box = useRef(null);
  const close = () => (setOpen(false), button.current?.focus());
  useLayoutEffect(() => open && placeBelow(box.current, button.current), [open]);
  useEffect(() => (open ? closeOutside([box.current, button.current], () => setOpen(false)) : undefined), [open]);
  const toggle = () => {
    if (!open) onOpen?.();
    setOpen(!open);
  };
  // On the element and not by an effect: the focus is in the box before effects run.
  const onKeyDown = (event) => event.key === "Escape" && (event.stopPropagation(), close());
  return html`<span class="menu">
    <button type="button" class=${className} ref=${button} title=${title} aria-label=${name} aria-expanded=${String(open)} onClick=${toggle}>${label}</button>
    ${open && html`<div class="menu-box" ref=${box} role="group" onKeyDown=${onKeyDown} aria-label=${name ?? title ?? label}>${typeof children === "function" ? children(close) : children}</div>`}
  </span>`;
}

// Fixed, so that no container cuts it off.
function placeBelow(box, button) {
  const at = button.getBoundingClientRect();
  const left = Math.max(EDGE, Math.min(at.left, innerWidth - box.offsetWidth - EDGE));
  const below = at.bottom + 4;
  const room = innerHeight - below - EDGE;
  box.style.setProperty("left", `${left}px`);
  box.style.setProperty("top", `${box.offsetHeight > room ? Math.max(EDGE, innerHeight - EDGE - box.offsetHeight) : below}px`);
  box.querySelector("a, button, input, select")?.focus({ preventScroll: true });
}

function closeOutside(inside, leave) {
  const onPointer = ({ target }) => inside.some((each) => each?.contains(target)) || leave();
  addEventListener("pointerdown", onPointer, true);
  addEventListener("hashchange", leave);
  return () => {
    removeEventListener("pointerdown", onPointer, true);
    removeEventListener("hashchange", leave);
  };
}
