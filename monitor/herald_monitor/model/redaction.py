"""Secrets are cut out before anything is stored or sent.

Celery tells arguments as the text of a Python `repr`, which is often cut, and
exceptions as any text at all. So this works on text: whatever stands behind a
key whose name holds one of the patterns is replaced, and in doubt too much.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from herald_monitor.model.searching import search
from herald_monitor.model.values import ValueScanner

DEFAULT_KEYS = ("password", "token", "secret", "authorization", "api_key", "cookie")
MASK = "[redacted]"

MEMORY = 4_096
"""Texts without secrets that are remembered: whatever is told of a task is told
twice or more, and so are common arguments and results."""
REMEMBERED = 1_024
"""Characters of a text beyond which it is not remembered; Celery cuts there."""

MAX_KEYS = 128
"""Keys of secrets that are looked at in one text. What comes behind them is cut out
whole: nobody but an attacker writes such a text, and each key takes time."""

_SPACE = r"(?:\s|\\{1,16}[nrt])*+"
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
        self._quick = re.compile(rf"{key}|bearer|basic|://", re.IGNORECASE)
        self._within = _within((*keys, "bearer", "basic", "://"))
        self._key = re.compile(rf"(?:{key})[\w.-]*", re.IGNORECASE)
        self._harmless: set[str] = set()

    def __call__(self, text: str) -> str:
        """Return `text` without the secrets in it."""
        if text in self._harmless:
            return text
        if not self._suspect(text):
            self._remember(text)
            return text
        return _mask_logins(_mask_bearers(self._masked(text)))

    def _remember(self, text: str) -> None:
        if len(text) <= REMEMBERED:
            if len(self._harmless) >= MEMORY:
                self._harmless.clear()
            self._harmless.add(text)

    def _suspect(self, text: str) -> bool:
        if self._within and text.isascii():
            # Ten times as fast as the search, and most texts hold no secret.
            low = text.lower()
            for part in self._within:
                if part in low:
                    break
            else:
                return False
        return search(self._quick, text) is not None

    def _masked(self, text: str) -> str:
        kept: list[str] = []
        done = 0
        scanner = ValueScanner(text)
        found = search(self._key, text)
        keys = 0
        while found:
            keys += 1
            if keys > MAX_KEYS:
                return "".join((*kept, text[done : found.start()], MASK))
            begin, end = _value(text, found.start(), found.end(), scanner)
            if end > begin:
                kept += (text[done:begin], _mask(text, begin, end))
                done = end
            found = search(self._key, text, end)
        return "".join((*kept, text[done:]))


def _mask_bearers(text: str) -> str:
    """Return `text` without what stands behind `Bearer` and `Basic`."""
    kept: list[str] = []
    done = at = 0
    while scheme := search(_BEARER_SCHEME, text, at):
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


def _within(keys: Sequence[str]) -> tuple[str, ...]:
    """Return texts, one of which is in each ASCII text with one of `keys`, lowered.

    Empty if that cannot be told: letters beyond ASCII may match those within it.
    """
    if not all(key.isascii() for key in keys):
        return ()
    parts = [max(re.split(r"[-_ ]", key), key=len).lower() for key in keys if key]
    return tuple(dict.fromkeys(parts))


def _value(text: str, key: int, at: int, scanner: ValueScanner) -> tuple[int, int]:
    """Return from where to where the secret lies whose key ends before `at`.

    `key` is within that key. Two same places: there is none.
    """
    begin = _after_sign(text, key, at)
    if begin is None:
        return at, at
    if _header(text[key:at]) and text[begin : begin + 1] not in "'\"[{(\\":
        ends = [at for at in (text.find(e, begin) for e in "\r\n") if at >= 0]
        return begin, min(ends, default=len(text))
    end = scanner.find_end(begin)
    # An annotated parameter: `token: str = "abc"`.
    more = _ANNOTATED.match(text, end)
    return begin, scanner.find_end(more.end()) if more else end


def _header(key: str) -> bool:
    return key.lower().startswith(("authorization", "cookie"))


def _after_sign(text: str, key: int, at: int) -> int | None:
    """Return where the value begins of the key that ends before `at`, if it has one."""
    sign = _SIGN.match(text, at)
    if sign:
        return sign.end()
    begin = _begin_of_key(text, key)
    pair = _PAIR.match(text, at)
    if pair and _opens_pair(text, begin):
        return pair.end()
    option = _OPTION.match(text, at)
    return option.end() if option and text.startswith("-", begin) else None


def _begin_of_key(text: str, within: int) -> int:
    # No key name is longer: a bound keeps this from looking back again and again.
    least = max(within - 64, 0)
    while within > least and (text[within - 1].isalnum() or text[within - 1] in "_.-"):
        within -= 1
    return within


def _opens_pair(text: str, begin: int) -> bool:
    """Say whether the quoted key at `begin` is the first of `("key", value)`."""
    opening = text[max(begin - 8, 0) : begin].rstrip("'\"\\bu")
    return opening.endswith(("(", "["))


def _mask(text: str, begin: int, end: int) -> str:
    """Return the mask, in the quotes of the value that it stands for."""
    opened = re.match(r"[bBrRuUfF]{0,2}(\\{0,16}['\"])", text[begin:end])
    return f"{opened[1]}{MASK}{opened[1]}" if opened else MASK
