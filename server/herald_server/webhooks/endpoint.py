"""A webhook endpoint: its URL and the changes that it gets. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import SplitResult, urlsplit

import msgspec

from herald_core.errors import InvalidFilter, InvalidInput
from herald_core.model.filters import Filter, parse_filter
from herald_core.model.tasks.views import FINAL_STATES, STATES
from herald_server.webhooks.signing import decode_secret, make_secret

MAX_URL_CHARS = 2_048
MAX_TEXT_CHARS = 200
ID_PREFIX = "wh_"
"""Prefix of generated ids."""

UPDATES = "updates"
"""In `on`: changes that leave the state as it was, such as progress."""

ALERTS = "alert"
"""In `on`: alerts that fire, still fire, or are resolved."""

STATE_GROUPS = {
    "final": tuple(s for s in STATES if s in FINAL_STATES),
    "states": STATES,
}
FORMATS = ("herald", "cloudevents")
ENDPOINT_KEYS = {
    "url": "Where messages are posted",
    "filter": 'The tasks it is about, such as `{ name = "reports.*" }`',
    "on": "What is sent: states, `final` (the default), `states`, `updates`, `alert`",
    "format": "`herald` (the default) or `cloudevents`",
    "description": "A text for people",
    "secret": "The secret that signs messages, `whsec_…`",
}
"""The keys of an endpoint, and what they mean."""

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

API = "api"
TOML = "herald.toml"


class Secret(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signing secret; valid until `until` (unix seconds) besides a newer one."""

    text: str
    until: float | None = None


class WebhookEndpoint(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A webhook endpoint. `origin` is where it was registered.

    The store must keep the secrets in plain text: signing needs them.
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
    """When delivery was re-enabled after it had been disabled (unix seconds)."""

    @property
    def states(self) -> frozenset[str]:
        """States whose beginning is sent."""
        return frozenset(
            state for word in self.on for state in STATE_GROUPS.get(word, (word,))
        ) & frozenset(STATES)

    def list_signing_secrets(self, now: float) -> list[str]:
        """Return the valid secrets at `now`, the newest first."""
        return [s.text for s in self.secrets if s.until is None or s.until > now]

    def rotate_secret(self, keep: float, now: float) -> WebhookEndpoint:
        """Return it with a new secret; the old ones stay valid for `keep` seconds."""
        until = now + keep
        old = [
            Secret(s.text, min(until, s.until or until))
            for s in self.secrets
            if s.until is None or s.until > now
        ]
        # Few, so that headers stay small after many rotations.
        return msgspec.structs.replace(self, secrets=(Secret(make_secret()), *old[:2]))


def parse_endpoint(
    given: Mapping[str, object], created_at: str, name: str = ""
) -> WebhookEndpoint:
    """Return the endpoint in `given`; `name` if it is from a file.

    Raises `InvalidInput` that names the key.
    """
    _refuse_unknown(given)
    filter_ = _parse_filter(given.get("filter"))
    secret = given.get("secret")
    if secret is not None:
        decode_secret(_parse_text(given, "secret", 200))
    format_ = given.get("format") or FORMATS[0]
    if format_ not in FORMATS:
        raise InvalidInput(f"format must be one of {', '.join(FORMATS)}", "format")
    return WebhookEndpoint(
        id=name or ID_PREFIX + secrets.token_hex(8),
        url=check_url(_parse_text(given, "url", MAX_URL_CHARS)),
        secrets=(Secret(str(secret) if secret else make_secret()),),
        filter=filter_,
        on=_parse_on(given.get("on"), filter_),
        format=str(format_),
        description=_parse_text(given, "description", MAX_TEXT_CHARS, ""),
        created_at=created_at,
        origin=TOML if name else API,
    )


def check_url(url: str) -> str:
    """Return `url` if its syntax is valid.

    Raises `InvalidInput`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInput(f"url {url[:60]!r} is no URL", "url") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput("url must be https://HOST/… or http://HOST/…", "url")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("url must not hold a user name; verify signatures", "url")
    if parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput("url must be plain ASCII without spaces and #", "url")
    if port == 0:
        raise InvalidInput("url has port 0, on which nothing listens", "url")
    return url


def split_host_and_port(url: str) -> tuple[str, int]:
    """Return host and port of a checked URL."""
    parts: SplitResult = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _refuse_unknown(given: Mapping[str, object]) -> None:
    unknown = sorted(given.keys() - ENDPOINT_KEYS.keys())
    if unknown:
        raise InvalidInput(
            f"unknown key {unknown[0][:40]!r}; known are {', '.join(ENDPOINT_KEYS)}",
            unknown[0][:40],
        )


def _parse_text(
    given: Mapping[str, object], key: str, limit: int, default: str | None = None
) -> str:
    value = given.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not (value or default is not None):
        raise InvalidInput(f"{key} must be a text", key)
    if len(value) > limit:
        raise InvalidInput(f"{key} is over {limit} characters", key)
    return value


def _parse_filter(given: object) -> Filter:
    if given is None:
        return Filter()
    if not isinstance(given, Mapping):
        raise InvalidFilter(
            'filter must be an object such as {"name": "reports.*"}', "filter"
        )
    return parse_filter(cast("Mapping[str, object]", given))


def _parse_on(given: object, filter_: Filter) -> tuple[str, ...]:
    """Return the words of `on`: by default the filter's states, else `final`."""
    if given is None:
        return filter_.state or ("final",)
    listed: Sequence[object] = (
        cast("Sequence[object]", given) if isinstance(given, list | tuple) else [given]
    )
    words = tuple(dict.fromkeys(_parse_word(one) for one in listed))
    states = {s for w in words for s in STATE_GROUPS.get(w, (w,))}
    if not words or (filter_.state and not states & {*filter_.state, UPDATES, ALERTS}):
        raise InvalidInput(
            "on and the filter's state have nothing in common, so nothing would be "
            "sent; leave one of the two out",
            "on",
        )
    return words


def _parse_word(one: object) -> str:
    if isinstance(one, str):
        if one.lower() in (*STATE_GROUPS, UPDATES, ALERTS):
            return one.lower()
        if one.upper() in STATES:
            return one.upper()
    raise InvalidInput(
        f"on takes final, states, {UPDATES}, {ALERTS}, or states"
        f" ({', '.join(STATES)}), not {one!r:.40}",
        "on",
    )
