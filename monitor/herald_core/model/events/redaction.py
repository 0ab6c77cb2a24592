"""Redaction of secrets, before anything is stored or sent.

Celery reports arguments as the text of a Python `repr`, which is often truncated, and
exceptions as free text. So redaction works on text. It replaces the value after each
key whose name holds one of the patterns, and in doubt too much.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from herald_core.model.events.repr_scanner import ValueScanner
from herald_core.model.events.text_search import search_yielding

DEFAULT_KEYS = ("password", "token", "secret", "authorization", "api_key", "cookie")
MASK = "[redacted]"

MAX_CACHED_CHARS = 4_096
"""Cached texts without secrets: each text of a task arrives twice or more, and so do
common arguments and results."""
MAX_CACHED_TEXTS = 1_024
"""Characters of a text beyond which it is not remembered; Celery cuts there."""

MAX_KEYS = 128
"""Keys of secrets that are examined in one text. The text after them is removed whole:
only an attacker writes such a text, and each key takes time."""

# Only single characters are repeated possessively: before Python 3.11.5 groups match
# wrongly (https://github.com/python/cpython/issues/106052).
_SPACE = r"\s*+(?:\\{1,16}+[nrt]\s*+)*"
_SIGN = re.compile(rf"(?:\\{{0,16}}['\"])?\]?{_SPACE}(?:=>|:=|==|[:=]){_SPACE}")
_ANNOTATED = re.compile(r"\s*=(?!=)\s*")
_PAIR = re.compile(r"\\{0,16}['\"]\s*,\s*")
_OPTION = re.compile(r"\s+(?!-)")
_BEARER_SCHEME = re.compile(r"\b(?:bearer|basic)\s", re.IGNORECASE)
_BEARER = re.compile(r"(?:bearer|basic)\s++(?=[\w.~+/-]{6})", re.IGNORECASE)
_BEARER_TOKEN = re.compile(r"[\w.~+/-]+=*")
_LOGIN = re.compile(r"://[^\s/:@'\"]{0,256}+:")
_LOGIN_PASSWORD = re.compile(r"[^\s/@'\"]{1,1024}(?=@)")


class Redactor:
    """Cuts the values of secret-looking keys out of texts.

    `keys` are parts of key names, matched without regard to case; `_`, `-` and a
    blank are the same. Passwords in URLs and bearer tokens are cut out besides.
    """

    def __init__(self, keys: Sequence[str] = DEFAULT_KEYS) -> None:
        parts = [re.sub(r"(?:_|\\-|\\ )", "[-_ ]?", re.escape(k)) for k in keys if k]
        key = "|".join(parts) or r"(?!)"
        self._quick_pattern = re.compile(rf"{key}|bearer|basic|://", re.IGNORECASE)
        self._key_hints = _make_key_hints((*keys, "bearer", "basic", "://"))
        self._key = re.compile(rf"(?:{key})[\w.-]*", re.IGNORECASE)
        self._harmless: set[str] = set()

    def __call__(self, text: str) -> str:
        """Return `text` without the secrets in it."""
        if text in self._harmless:
            return text
        if not self._may_contain_secret(text):
            self._remember(text)
            return text
        return _mask_logins(_mask_bearers(self._mask_text(text)))

    def _remember(self, text: str) -> None:
        if len(text) <= MAX_CACHED_TEXTS:
            if len(self._harmless) >= MAX_CACHED_CHARS:
                self._harmless.clear()
            self._harmless.add(text)

    def _may_contain_secret(self, text: str) -> bool:
        if self._key_hints and text.isascii():
            # Ten times as fast as the search, and most texts hold no secret.
            low = text.lower()
            for part in self._key_hints:
                if part in low:
                    break
            else:
                return False
        return search_yielding(self._quick_pattern, text) is not None

    def _mask_text(self, text: str) -> str:
        kept: list[str] = []
        done = 0
        scanner = ValueScanner(text)
        found = search_yielding(self._key, text)
        keys = 0
        while found:
            keys += 1
            if keys > MAX_KEYS:
                return "".join((*kept, text[done : found.start()], MASK))
            begin, end = _find_secret(text, found.start(), found.end(), scanner)
            if end > begin:
                kept += (text[done:begin], _mask(text, begin, end))
                done = end
            found = search_yielding(self._key, text, end)
        return "".join((*kept, text[done:]))


def _mask_bearers(text: str) -> str:
    """Return `text` without the values after `Bearer` and `Basic`."""
    kept: list[str] = []
    done = at = 0
    while scheme := search_yielding(_BEARER_SCHEME, text, at):
        at = scheme.end()
        found = _BEARER.match(text, scheme.start())
        token = _BEARER_TOKEN.match(text, found.end()) if found else None
        if token:
            kept += (text[done : token.start()], MASK)
            done = at = token.end()
    return "".join((*kept, text[done:])) if kept else text


def _mask_logins(text: str) -> str:
    """Return `text` without the passwords in its URLs."""
    kept: list[str] = []
    done = at = 0
    while (at := text.find("://", at)) >= 0:
        login = _LOGIN.match(text, at)
        password = _LOGIN_PASSWORD.match(text, login.end()) if login else None
        at = password.end() if password else at + 3
        if password:
            kept += (text[done : password.start()], MASK)
            done = at
    return "".join((*kept, text[done:])) if kept else text


def _make_key_hints(keys: Sequence[str]) -> tuple[str, ...]:
    """Return texts, one of which is in each ASCII text with one of `keys`, in lower
    case.

    Empty if there are none: letters beyond ASCII may match ASCII letters.
    """
    if not all(key.isascii() for key in keys):
        return ()
    parts = [max(re.split(r"[-_ ]", key), key=len).lower() for key in keys if key]
    return tuple(dict.fromkeys(parts))


def _find_secret(
    text: str, key: int, at: int, scanner: ValueScanner
) -> tuple[int, int]:
    """Return start and end of the secret whose key ends before `at`.

    `key` is within that key. Start and end are equal if there is no secret.
    """
    begin = _find_value_start(text, key, at)
    if begin is None:
        return at, at
    if _is_header(text[key:at]) and text[begin : begin + 1] not in "'\"[{(\\":
        ends = [at for at in (text.find(e, begin) for e in "\r\n") if at >= 0]
        return begin, min(ends, default=len(text))
    end = scanner.find_end(begin)
    # An annotated parameter: `token: str = "abc"`.
    more = _ANNOTATED.match(text, end)
    return begin, scanner.find_end(more.end()) if more else end


def _is_header(key: str) -> bool:
    return key.lower().startswith(("authorization", "cookie"))


def _find_value_start(text: str, key: int, at: int) -> int | None:
    """Return the start of the value of the key that ends before `at`, if it has one."""
    sign = _SIGN.match(text, at)
    if sign:
        return sign.end()
    begin = _find_key_start(text, key)
    pair = _PAIR.match(text, at)
    if pair and _is_pair_start(text, begin):
        return pair.end()
    option = _OPTION.match(text, at)
    return option.end() if option and text.startswith("-", begin) else None


def _find_key_start(text: str, within: int) -> int:
    # No key name is longer; the bound keeps the search linear.
    least = max(within - 64, 0)
    while within > least and (text[within - 1].isalnum() or text[within - 1] in "_.-"):
        within -= 1
    return within


def _is_pair_start(text: str, begin: int) -> bool:
    """Return True if the quoted key at `begin` is the first of `("key", value)`."""
    opening = text[max(begin - 8, 0) : begin].rstrip("'\"\\bu")
    return opening.endswith(("(", "["))


def _mask(text: str, begin: int, end: int) -> str:
    """Return the mask, in the quotes of the value that it replaces."""
    opened = re.match(r"[bBrRuUfF]{0,2}(\\{0,16}['\"])", text[begin:end])
    return f"{opened[1]}{MASK}{opened[1]}" if opened else MASK
