/** Problems that the reader has muted, in this browser, for a working day. */

import { keepChoice, readChoice } from "../../base/browser/storage.js";

const KEY = "herald.muted";
const MUTED_MS = 8 * 3_600_000;

export const isMuted = (key) => (read()[key] ?? 0) > Date.now();
export const mute = (key) => write({ ...read(), [key]: Date.now() + MUTED_MS });
export const unmuteAll = () => write({});

const read = () => Object.fromEntries(Object.entries(readChoice(KEY, {})).filter(([, until]) => until > Date.now()));
const write = (all) => keepChoice(KEY, all);
