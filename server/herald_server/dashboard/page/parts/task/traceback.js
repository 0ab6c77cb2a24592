/** Takes a Python traceback apart, and tells the frames of libraries from the project's own. Pure. */

const FRAME = /^\s*File "(.+)", line (\d+)(?:, in (.+))?$/;
const LIBRARIES = [/[\\/](?:site-packages|dist-packages)[\\/]([^\\/]+)/, /[\\/]lib[\\/]python[\d.]+[\\/]([^\\/]+)/, /^<(frozen [^>]+|string)>$/];

/**
 * @typedef {{path: string, line: number, where: string, code: string[], library: string|null}} Frame
 * @typedef {{frames?: Frame[], library?: boolean, text?: string}} Part  frames in a row of one kind, or other lines
 */

/** Return the parts of a traceback in their order. @returns {Part[]} */
export function readTraceback(/** @type {string} */ text) {
  const parts = [];
  let frame = null;
  for (const line of text.split("\n")) {
    const found = FRAME.exec(line);
    if (found) parts.push((frame = toFrame(found)));
    else if (frame && /^\s/.test(line)) frame.code.push(line);
    else if (line.trim()) (parts.push({ text: line }), (frame = null));
  }
  return joinParts(parts);
}

/** Return the innermost frame of the project; null if all are of libraries. */
export function findOwnFrame(parts) {
  return parts.flatMap(({ frames }) => frames ?? []).findLast(({ library }) => !library) ?? null;
}

export const countFrames = (parts) => parts.reduce((n, { frames }) => n + (frames?.length ?? 0), 0);
export const countOwnFrames = (parts) => parts.reduce((n, { frames, library }) => n + (frames && !library ? frames.length : 0), 0);

function toFrame([, path, line, where = ""]) {
  const library = LIBRARIES.map((pattern) => pattern.exec(path)?.[1]).find(Boolean) ?? null;
  return { path, line: Number(line), where, code: [], library: library?.replace(/\.py$/, "") ?? null };
}

function joinParts(list) {
  const parts = [];
  for (const one of list) {
    const [last, isLibrary] = [parts.at(-1), Boolean(one.library)];
    if (one.text !== undefined) last?.text === undefined ? parts.push({ text: one.text }) : (last.text += `\n${one.text}`);
    else if (last?.frames && last.library === isLibrary) last.frames.push(one);
    else parts.push({ frames: [one], library: isLibrary });
  }
  return parts;
}

/** Return the path without what all paths of a machine begin with. */
export const shortenPath = (path) => path.replace(/^.*(?:site-packages|dist-packages)[\\/]/, "").replace(/^.*[\\/]lib[\\/]python[\d.]+[\\/]/, "");
