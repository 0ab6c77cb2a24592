/** Hooks for screens: subscriptions, requests, the time. What they start ends with the component. */

import { h, schedule } from "../dom.js";
import { createContext, html, render, useContext, useEffect, useMemo, useReducer, useRef, useState } from "./preact.js";

const Screen = createContext(null);

/**
 * Draw a component into `place` until the screen is left; the return value of `show`.
 * @param {Element} place @param {import("../context/screen-context.js").ScreenContext} context
 * @param {(props: any) => any} View gets `params`, the parameters of the address
 */
export function showView(place, context, View) {
  let params = context.place.params;
  const holder = place.appendChild(h("div", { className: "view" }));
  const draw = () => render(html`<${Screen.Provider} value=${context}><${View} params=${params} /></${Screen.Provider}>`, holder);
  context.onEnd(() => render(null, holder));
  draw();
  return { update: (changed) => ((params = changed), draw()), refresh: draw };
}

/** Return the context of the screen. @returns {import("../context/screen-context.js").ScreenContext} */
export const useScreen = () => useContext(Screen);

/** Return a function that renders the component again, before the next frame but at most ten times a second. */
export function useRefresh() {
  const [, bump] = useReducer((n) => n + 1, 0);
  const mounted = useRef(true);
  useEffect(() => () => (mounted.current = false), []);
  return useMemo(() => {
    const paint = () => mounted.current && bump();
    return () => schedule(paint);
  }, []);
}

/**
 * Subscribe to a collection of `/herald.js`; render again after each change.
 * The component keeps it when `wanted` changes (compared as JSON), and gets a new snapshot.
 * @returns {import("../../../herald/collection.js").Collection}
 */
export function useSubscription(wanted) {
  const screen = useScreen();
  const refresh = useRefresh();
  const collection = useMemo(() => screen.subscribe(wanted, refresh), [wanted.id]);
  const shown = useRef(JSON.stringify(wanted));
  useEffect(() => () => screen.unsubscribe(wanted.id), [wanted.id]);
  useEffect(() => {
    const next = JSON.stringify(wanted);
    if (next !== shown.current) collection.update(wanted);
    shown.current = next;
  });
  return collection;
}

/**
 * Send a GET request now, every `interval` seconds (0: never), and when `path` changes.
 * Returns `{value, error, known, send}`; the last value stays while a request fails.
 * A path of null sends nothing.
 */
export function usePoll(path, interval = 15) {
  const screen = useScreen();
  const [answer, setAnswer] = useState({ path: null });
  const request = useRef(null);
  useEffect(() => {
    if (!path) return undefined;
    const show = ({ value, error = null }) => setAnswer((last) => ({ path, value: value ?? (last.path === path ? last.value : undefined), error }));
    request.current = screen.poll(path, show, interval);
    return () => request.current.stop();
  }, [path, interval]);
  const { value, error = null } = answer.path === path ? answer : {};
  return { value, error, known: Boolean(value || error), send: () => request.current?.send(), refresh: (seconds) => request.current?.refresh(seconds) };
}

/** Render again each second while the page is visible; for ages and elapsed times. */
export function useSecond() {
  const screen = useScreen();
  const refresh = useRefresh();
  useEffect(() => screen.everySecond(refresh), []);
}

/** Return the counts, workers, queues and documents that every screen has; render again after each change. */
export function useLive() {
  const screen = useScreen();
  const refresh = useRefresh();
  useEffect(() => screen.live.observe(refresh), []);
  return screen.live;
}

/** Return the state of the connection; render again after each change. */
export function useConnection() {
  const screen = useScreen();
  const refresh = useRefresh();
  useEffect(() => screen.observe(refresh), []);
  return screen.connection;
}

/** Return an element's ref and its size in pixels; render again when it changes. */
export function useSize() {
  const ref = useRef(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const measure = () => ref.current && setSize({ width: ref.current.clientWidth, height: ref.current.clientHeight });
    const observer = new ResizeObserver(() => schedule(measure));
    observer.observe(ref.current);
    measure();
    return () => observer.disconnect();
  }, []);
  return [ref, size];
}

/** Return a ref for the holder of a DOM node that is made outside of Preact, such as a `badge`. */
export function useNode(node) {
  const ref = useRef(null);
  useEffect(() => void (ref.current.firstChild !== node && ref.current.replaceChildren(node)));
  return ref;
}
