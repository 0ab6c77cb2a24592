/** The search of tasks: a chip for each word, an input with suggestions, and the mistake with its remedy. */

import { splitWords } from "../../base/query.js";
import { html, useEffect, useRef, useState } from "../../base/view/preact.js";
import { appendNew, useServerSuggestions } from "./server-suggestions.js";
import { suggest } from "./suggest.js";

const DEBOUNCE_MS = 300; // the server accepts ten subscriptions a second

/**
 * @param {{id: string, label: string, text: string, known: any, problem: {message: string, suggestion?: string, position?: number}|null,
 *          onText: (text: string) => void, inputRef: {current: any}}} props  `text` is the query in use
 */
export function QueryBar({ id, label, text, known, problem, onText, inputRef }) {
  const [chips, setChips] = useState(() => splitWords(text).map(({ raw }) => raw));
  const [draft, setDraft] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const sent = useRef(text);
  const timer = useRef(0);
  const present = (words, rest) => [...words, rest.trim()].filter(Boolean).join(" ");
  const send = (words, rest) => {
    clearTimeout(timer.current);
    sent.current = present(words, rest);
    onText(sent.current);
  };
  useEffect(() => { // the address, a count or a header has changed it
    if (text === sent.current) return;
    sent.current = text;
    setChips(splitWords(text).map(({ raw }) => raw));
    setDraft("");
  }, [text]);
  const write = (rest) => {
    setDraft(rest);
    setOpen(true);
    setAt(-1);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => send(chips, rest), DEBOUNCE_MS);
  };
  const commit = (rest, others = [...chips.map((raw) => ({ raw })), ...splitWords(rest)]) => {
    const words = others.map(({ raw }) => raw);
    setChips(words);
    setDraft("");
    setAt(-1);
    send(words, "");
  };
  const remove = (k) => {
    const words = chips.filter((_, each) => each !== k);
    setChips(words);
    send(words, draft);
    inputRef.current.focus();
  };
  const word = open ? lastWord(draft) : "";
  const more = useServerSuggestions([...chips, draft].join(" "), word);
  const options = open ? appendNew(suggest(word, known), more) : [];
  const take = ({ text }) => {
    const rest = draft.slice(0, draft.length - lastWord(draft).length) + text;
    if (text.endsWith(":") || text.endsWith(".")) write(rest);
    else commit(rest);
    inputRef.current.focus();
  };
  const onKey = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length && (draft || at >= 0 || event.altKey)) stop(event, () => setAt(((at + 1 + step + options.length + 1) % (options.length + 1)) - 1));
    else if (event.key === "Enter" && at >= 0) stop(event, () => take(options[at]));
    else if (event.key === "Enter") (commit(draft), setOpen(false));
    else if (event.key === "Tab" && !event.shiftKey && draft && options.length) stop(event, () => take(options[Math.max(0, at)]));
    else if (event.key === "Escape" && open && options.length) stop(event, () => setOpen(false));
    else if (event.key === "Backspace" && !draft && chips.length) stop(event, () => (setChips(chips.slice(0, -1)), write(chips.at(-1))));
  };
  const list = `${id}-options`;
  return html`<div class="query" role="search">
    <div class="query-box" data-invalid=${problem ? "" : null} onClick=${(event) => event.target === event.currentTarget && inputRef.current.focus()}>
      ${chips.length > 0 && html`<ul class="chips" aria-label="Conditions">${chips.map((word, k) => html`<li key=${`${k} ${word}`}><${Chip} word=${word} onRemove=${() => remove(k)} /></li>`)}</ul>`}
      <input id=${id} ref=${inputRef} type="search" role="combobox" autocomplete="off" autocapitalize="off" spellcheck=${false} aria-label=${label} aria-keyshortcuts="/" aria-expanded=${String(options.length > 0)} aria-controls=${list}
        aria-autocomplete="list" aria-activedescendant=${at >= 0 ? `${list}-${at}` : null} aria-invalid=${problem ? "true" : null} aria-describedby=${`${id}-problem`} placeholder=${chips.length ? "and …" : "an order number, a name, failed, last:10m …"}
        value=${draft} onInput=${(event) => write(event.target.value)} onKeyDown=${onKey} onFocus=${() => setOpen(true)} onBlur=${() => setOpen(false)} />
      ${chips.length > 0 ? html`<button type="button" class="quiet small" onClick=${() => (setChips([]), setDraft(""), send([], ""))}>Clear</button>` : html`<kbd aria-hidden="true">/</kbd>`}
      ${options.length > 0 && html`<ul class="options" role="listbox" id=${list} aria-label="Suggestions">${options.map((option, k) => html`<li role="option" id=${`${list}-${k}`} key=${option.text} aria-selected=${String(k === at)} onPointerDown=${(event) => (event.preventDefault(), take(option))}><b>${option.text}</b><span>${option.hint}</span></li>`)}</ul>`}
    </div>
    <p class="filter-error" role="status" id=${`${id}-problem`}>${problem && html`${problem.message} ${problem.suggestion && html`<button type="button" class="small" onClick=${() => commit("", splitWords(repair(present(chips, draft), problem)))}>Use ${problem.suggestion}</button>`}`}</p>
  </div>`;
}

function Chip({ word, onRemove }) {
  const cut = word.indexOf(":") + 1;
  return html`<span class="chip" data-not=${word.startsWith("-") ? "" : null}><bdi><span class="soft">${word.slice(0, cut)}</span>${word.slice(cut)}</bdi><button type="button" aria-label=${`Remove ${word}`} onClick=${onRemove}>×</button></span>`;
}

function stop(event, act) {
  event.preventDefault();
  event.stopPropagation();
  act();
}

const lastWord = (draft) => /(?:[^\s"]|"[^"]*"?)*$/.exec(draft)[0];

// The suggestion stands for the word at the position of the mistake.
function repair(text, { suggestion, position = 0 }) {
  const start = text.lastIndexOf(" ", position) + 1;
  const end = text.indexOf(" ", position);
  const word = text.slice(start, end < 0 ? undefined : end);
  const cut = word.indexOf(":") + 1;
  const keepsKey = start + cut <= position && cut > 0 && !suggestion.includes(":");
  return text.slice(0, start) + (keepsKey ? word.slice(0, cut) : "") + suggestion + (end < 0 ? "" : text.slice(end));
}
