"""An endpoint: an address, and which changes it is told. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import SplitResult, urlsplit

import msgspec

from herald_monitor.errors import BadFilter, BadInput
from herald_monitor.model.filters import Filter, parse_filter
from herald_monitor.model.shape import FINAL, STATES
from herald_server.webhooks.signing import key_of, new_secret

MOST_URL = 2_048
MOST_TEXT = 200
MADE = "wh_"
"""How ids begin that Herald makes."""

UPDATES = "updates"
"""In `on`: changes that leave the state as it was, such as progress."""

SPECIAL = {"final": tuple(s for s in STATES if s in FINAL), "states": STATES}
FORMATS = ("herald", "cloudevents")
KEYS = ("url", "filter", "on", "format", "description", "secret")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

API = "api"
TOML = "herald.toml"


class Secret(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signing secret; `until` (unix seconds) it signs beside a newer one."""

    text: str
    until: float | None = None


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who is told what. `origin` is where it was registered.

    The store has to keep the secrets as they are: a signature needs them whole.
    """

    id: str
    url: str
    secrets: tuple[Secret, ...]
    filter: Filter = Filter()
    on: tuple[str, ...] = ("final",)
    format: str = FORMATS[0]
    description: str = ""
    created_at: str = ""
    origin: str = API
    revived_at: float = 0.0
    """When somebody asked to go on after it had been disabled (unix seconds)."""

    @property
    def states(self) -> frozenset[str]:
        """States whose beginning is told."""
        return frozenset(
            state for word in self.on for state in SPECIAL.get(word, (word,))
        ) & frozenset(STATES)

    def signing(self, now: float) -> list[str]:
        """Return the secrets that sign at `now`, the newest first."""
        return [s.text for s in self.secrets if s.until is None or s.until > now]

    def rotated(self, keep: float, now: float) -> Endpoint:
        """Return it with a new secret; the old ones sign for `keep` seconds more."""
        until = now + keep
        old = [
            Secret(s.text, min(until, s.until or until))
            for s in self.secrets
            if s.until is None or s.until > now
        ]
        # Few, so that headers stay small however often somebody rotates.
        return msgspec.structs.replace(self, secrets=(Secret(new_secret()), *old[:2]))


def parse_endpoint(
    given: Mapping[str, object], created_at: str, name: str = ""
) -> Endpoint:
    """Return the endpoint that `given` asks for; `name` if it stands in a file.

    Raises `BadInput` with a sentence that names the key.
    """
    _refuse_unknown(given)
    filter_ = _filter(given.get("filter"))
    secret = given.get("secret")
    if secret is not None:
        key_of(_text(given, "secret", 200))
    format_ = given.get("format") or FORMATS[0]
    if format_ not in FORMATS:
        raise BadInput(f"format must be one of {', '.join(FORMATS)}", "format")
    return Endpoint(
        id=name or MADE + secrets.token_hex(8),
        url=checked_url(_text(given, "url", MOST_URL)),
        secrets=(Secret(str(secret) if secret else new_secret()),),
        filter=filter_,
        on=_on(given.get("on"), filter_),
        format=str(format_),
        description=_text(given, "description", MOST_TEXT, ""),
        created_at=created_at,
        origin=TOML if name else API,
    )


def checked_url(url: str) -> str:
    """Return `url` if it can be posted to, as far as its text tells.

    Raises `BadInput`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadInput(f"url {url[:60]!r} is no URL", "url") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("url must be https://HOST/… or http://HOST/…", "url")
    if parts.username is not None or parts.password is not None:
        raise BadInput("url must not hold a user name; verify signatures", "url")
    if parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise BadInput("url must be plain ASCII without spaces and #", "url")
    if port == 0:
        raise BadInput("url has port 0, on which nothing listens", "url")
    return url


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a checked URL leads."""
    parts: SplitResult = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _refuse_unknown(given: Mapping[str, object]) -> None:
    unknown = sorted(given.keys() - set(KEYS))
    if unknown:
        raise BadInput(
            f"unknown key {unknown[0][:40]!r}; known are {', '.join(KEYS)}",
            unknown[0][:40],
        )


def _text(
    given: Mapping[str, object], key: str, most: int, default: str | None = None
) -> str:
    value = given.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not (value or default is not None):
        raise BadInput(f"{key} must be a text", key)
    if len(value) > most:
        raise BadInput(f"{key} is over {most} characters", key)
    return value


def _filter(given: object) -> Filter:
    if given is None:
        return Filter()
    if not isinstance(given, Mapping):
        raise BadFilter(
            'filter must be an object such as {"name": "reports.*"}', "filter"
        )
    return parse_filter(cast("Mapping[str, object]", given))


def _on(given: object, filter_: Filter) -> tuple[str, ...]:
    """Return the words of `on`: by default the filter's states, else the final."""
    if given is None:
        return filter_.state or ("final",)
    listed: Sequence[object] = (
        cast("Sequence[object]", given) if isinstance(given, list | tuple) else [given]
    )
    words = tuple(dict.fromkeys(_word(one) for one in listed))
    told = {s for w in words for s in SPECIAL.get(w, (w,))}
    if not words or (filter_.state and not told & {*filter_.state, UPDATES}):
        raise BadInput(
            "on and the filter's state have nothing in common, so nothing would be "
            "sent; leave one of the two out",
            "on",
        )
    return words


def _word(one: object) -> str:
    if isinstance(one, str):
        if one.lower() in (*SPECIAL, UPDATES):
            return one.lower()
        if one.upper() in STATES:
            return one.upper()
    raise BadInput(
        f"on takes final, states, {UPDATES}, or states ({', '.join(STATES)}), "
        f"not {one!r:.40}",
        "on",
    )
