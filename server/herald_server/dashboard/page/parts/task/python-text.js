/** Reads texts of Python: the `repr` of arguments and of exceptions. What is not certain is left as it is. Pure. */

const CLOSES = { "(": ")", "[": "]", "{": "}", "<": ">" };
const STRING = /^[bBrRuU]{0,2}(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")$/s;
const MAX_CHARS = 20_000;

/** Whether a text was cut off. */
export const isCut = (text) => /(?:…|\.\.\.)['")\]}>]*$/.test(text ?? "");

/** Return the items of the `repr` of a dict, list or tuple, as texts; null if it is none, or not whole. */
export function splitItems(text) {
  if (!text || text.length > MAX_CHARS || !"([{".includes(text[0])) return null;
  const items = [];
  const within = [CLOSES[text[0]]];
  let begin = 1;
  for (let k = 1; k < text.length; k += 1) {
    const sign = text[k];
    if (sign === "'" || sign === '"') {
      k = findQuote(text, k);
      if (k < 0) return null;
    } else if (CLOSES[sign]) within.push(CLOSES[sign]);
    else if (sign === within.at(-1)) within.pop();
    else if (")]}".includes(sign)) return null;
    else if (sign === "," && within.length === 1) (items.push(text.slice(begin, k).trim()), (begin = k + 1));
    if (within.length) continue;
    const last = text.slice(begin, k).trim();
    return k === text.length - 1 ? [...items, ...(last ? [last] : [])] : null;
  }
  return null;
}

function findQuote(text, from) {
  for (let k = from + 1; k < text.length; k += 1) {
    if (text[k] === "\\") k += 1;
    else if (text[k] === text[from]) return k;
  }
  return -1;
}

/** Return `[[key, value]]` of the `repr` of a dict; null if it cannot be read. */
export function readDict(text) {
  if (!text?.startsWith("{")) return null;
  const pairs = splitItems(text)?.map((item) => {
    const [, key, value] = /^('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\w.]+)\s*:\s*(.*)$/s.exec(item) ?? [];
    return key === undefined ? null : [unquote(key), value];
  });
  return pairs?.every(Boolean) ? pairs : null;
}

/** Return the values of the `repr` of a tuple or list; null if it cannot be read. */
export const readList = (text) => (text?.startsWith("{") ? null : splitItems(text));

/** Return the text of a string literal; anything else as it is. */
export function unquote(text) {
  const found = STRING.exec(text.trim());
  if (!found) return text;
  return (found[1] ?? found[2]).replace(/\\(['"\\nt])/g, (_, sign) => ({ n: "\n", t: "\t" })[sign] ?? sign);
}

/**
 * Return `{type, message}` of an exception: of `KeyError('id')`, of `Busy: no room`, and, where the
 * worker wrapped it, of the last line of its traceback.
 */
export function readException(exception, traceback) {
  if (!exception) return null;
  const text = /^ExceptionWithTraceback\b/.test(exception) ? (getLastLine(traceback) ?? exception) : exception;
  const [, called, inside] = /^([A-Za-z_][\w.]*)\((.*)\)$/s.exec(text) ?? [];
  if (called) return { type: called, message: unquote(inside.replace(/,$/, "")) };
  const [, type, message] = /^([A-Za-z_][\w.]*)(?::\s+(.*))?$/s.exec(text) ?? [];
  return type ? { type, message: message ?? "" } : { type: "", message: text };
}

const getLastLine = (text) => text?.trimEnd().split("\n").findLast((line) => /^\S/.test(line));
