"""Alerts in a herald.toml.

[alerts]
group_wait = "5s"
repeat = "4h"                              # of all rules; false: never
heartbeat_url = "https://hc-ping.com/…"    # requested while Herald receives events

[alerts.receivers.ops]
url_env = "OPS_SLACK"                      # or url = "slack://…", or urls = […]
rules = ["queue_*", "monitor_blind"]
severity = "warning"

[alerts.rules.queue_old]                   # changes a built-in rule
limit = "30m"

[alerts.rules.reports_failed]              # a rule of its own
kind = "task_failed"
match = "reports.*"
count = 3
window = "10m"
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.alerts.alert import SEVERITIES
from herald_core.model.queries.moments import parse_duration_s
from herald_core.system.toml_tables import read_toml_table
from herald_server.alerts.receivers import AlertReceiver, AlertSettings
from herald_server.alerts.rules import (
    BUILT_IN_RULES,
    COMMON_KEYS,
    KIND_KEYS,
    RULE_KINDS,
    AlertRule,
)
from herald_server.insight.stats.rollup_cache import DAY_S
from herald_server.webhooks.endpoint import NAME_PATTERN, check_url

TABLE_KEYS = {
    "rules": "Tables of rules; one with the name of a built-in rule changes it",
    "receivers": "Tables of receivers",
    "group_wait": "How long alerts are collected into one message; 5s by default",
    "repeat": "After how long a firing alert is sent again; 4h by default, 0 for never",
    "heartbeat_url": "An address that is requested while Herald receives events",
    "heartbeat_url_env": "The variable with that address",
    "heartbeat_interval": "How often it is requested; 60s by default",
}
RECEIVER_KEYS = {
    "url": "The address of Apprise, such as `slack://…`",
    "urls": "Several of them",
    "url_env": "The variable with the address, so that no secret is in the file",
    "rules": "Names of the rules that it gets; `*` is wild, all by default",
    "severity": "The least severity that it gets; `info` by default",
}
"""The keys of each table, and what they mean."""

MAX_COUNT = 1_000_000
MIN_HEARTBEAT_S = 1.0
MAX_TIME_S = 7 * DAY_S


def read_alert_settings(
    path: Path | None, env: Mapping[str, str] = os.environ
) -> AlertSettings:
    """Return the alerts of a herald.toml; without one, the built-in rules.

    Raises `InvalidInput` with the table.
    """
    if path is None:
        return AlertSettings()
    table = read_toml_table(path, "alerts", "a table [alerts]")
    try:
        return parse_alert_settings(table, env)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: [alerts{error}") from None


def parse_alert_settings(
    table: Mapping[str, object], env: Mapping[str, str]
) -> AlertSettings:
    """Return the settings in a table. Errors begin with the rest of its name."""
    with_place = _Place("]")
    with_place.refuse_unknown(table, TABLE_KEYS)
    repeat = with_place.parse_repeat(table, BUILT_IN_RULES[0].repeat)
    return AlertSettings(
        rules=_parse_rules(_get_table(table, "rules"), repeat),
        receivers=tuple(
            _parse_receiver(name, one, env)
            for name, one in _get_table(table, "receivers").items()
        ),
        group_wait=with_place.parse_time(table, "group_wait", 5.0, 0.0, 3_600.0),
        heartbeat_url=_parse_heartbeat_url(table, env),
        heartbeat_interval=with_place.parse_time(
            table, "heartbeat_interval", 60.0, MIN_HEARTBEAT_S
        ),
    )


class _Place:
    """Parses values of one table; its errors begin with `place`."""

    def __init__(self, place: str) -> None:
        self._place = place

    def fail(self, message: str) -> InvalidInput:
        """Return the error with `message`."""
        return InvalidInput(f"{self._place} {message}")

    def refuse_unknown(self, table: Mapping[str, object], keys: Iterable[str]) -> None:
        """Raise `InvalidInput` for a key that is not one of `keys`."""
        known = list(keys)
        if unknown := sorted(table.keys() - set(known)):
            raise self.fail(
                f"unknown key {unknown[0][:40]!r}; it takes {', '.join(known)}"
            )

    def parse_time(
        self,
        table: Mapping[str, object],
        key: str,
        default: float,
        least: float = 0.0,
        most: float = MAX_TIME_S,
    ) -> float:
        """Return a duration in seconds."""
        given = table.get(key, default)
        seconds: float | None = None
        if isinstance(given, str):
            seconds = parse_duration_s(given)
        elif isinstance(given, int | float) and not isinstance(given, bool):
            seconds = float(given)
        if seconds is None or not least <= seconds <= most:
            raise self.fail(
                f'{key} must be a duration such as "30s", "5m" or "4h", from'
                f" {least:g} s to {most:g} s"
            )
        return seconds

    def parse_repeat(
        self, table: Mapping[str, object], default: float | None
    ) -> float | None:
        """Return the repeat interval in seconds; None for `false`."""
        if "repeat" not in table:
            return default
        if table["repeat"] is False:
            return None
        return self.parse_time(table, "repeat", 0.0, 1.0)

    def parse_severity(self, table: Mapping[str, object], default: str) -> str:
        """Return a severity."""
        given = table.get("severity", default)
        if given not in SEVERITIES:
            raise self.fail(f"severity must be one of {', '.join(SEVERITIES)}")
        return str(given)

    def parse_texts(
        self, table: Mapping[str, object], key: str, default: Sequence[str]
    ) -> tuple[str, ...]:
        """Return a list of texts that are not empty."""
        given = table.get(key, default)
        listed = cast("Sequence[object]", given)
        if not isinstance(given, list | tuple) or not all(
            isinstance(one, str) and one for one in listed
        ):
            raise self.fail(f"{key} must be a list of texts")
        return tuple(map(str, listed))


def _get_table(table: Mapping[str, object], key: str) -> Mapping[str, object]:
    given = table.get(key, {})
    if not isinstance(given, dict):
        raise InvalidInput(f"] {key} must be tables such as [alerts.{key}.NAME]")
    return cast("dict[str, object]", given)


def _parse_rules(
    tables: Mapping[str, object], repeat: float | None
) -> tuple[AlertRule, ...]:
    built_in = {
        rule.name: msgspec.structs.replace(rule, repeat=repeat)
        for rule in BUILT_IN_RULES
    }
    changed = {
        name: _parse_rule(name, given, built_in) for name, given in tables.items()
    }
    return tuple((built_in | changed).values())


def _parse_rule(
    name: str, given: object, built_in: Mapping[str, AlertRule]
) -> AlertRule:
    place = _Place(f".rules.{name[:40]}]")
    table = _check_named_table(place, name, given)
    kind = table.get("kind", name)
    if not isinstance(kind, str) or kind not in RULE_KINDS:
        raise place.fail(f"kind must be one of {', '.join(RULE_KINDS)}")
    place.refuse_unknown(table, (*COMMON_KEYS, *KIND_KEYS.get(kind, ())))
    base = built_in[kind]
    match = table.get("match", base.match)
    enabled = table.get("enabled", True)
    if not isinstance(match, str) or not match:
        raise place.fail('match must be a glob such as "reports.*"')
    if not isinstance(enabled, bool):
        raise place.fail("enabled must be true or false")
    return AlertRule(
        name=name,
        kind=kind,
        match=match,
        severity=place.parse_severity(table, base.severity),
        enabled=enabled,
        hold=place.parse_time(table, "for", base.hold),
        resolve_after=place.parse_time(table, "resolve_after", base.resolve_after),
        repeat=place.parse_repeat(table, base.repeat),
        window=place.parse_time(table, "window", base.window, 0.0, DAY_S),
        limit=place.parse_time(table, "limit", base.limit),
        count=_parse_count(place, table, base.count),
    )


def _parse_count(place: _Place, table: Mapping[str, object], default: int) -> int:
    given = table.get("count", default)
    if isinstance(given, bool) or not isinstance(given, int) or given > MAX_COUNT:
        raise place.fail(f"count must be a whole number, at most {MAX_COUNT}")
    if "count" in table and given < 1:
        raise place.fail("count must be at least 1")
    return given


def _parse_receiver(name: str, given: object, env: Mapping[str, str]) -> AlertReceiver:
    place = _Place(f".receivers.{name[:40]}]")
    table = _check_named_table(place, name, given)
    place.refuse_unknown(table, RECEIVER_KEYS)
    return AlertReceiver(
        name=name,
        urls=_parse_urls(place, table, env),
        rules=place.parse_texts(table, "rules", ("*",)),
        severity=place.parse_severity(table, SEVERITIES[0]),
    )


def _parse_urls(
    place: _Place, table: Mapping[str, object], env: Mapping[str, str]
) -> tuple[str, ...]:
    named = [key for key in ("url", "urls", "url_env") if key in table]
    if len(named) != 1:
        raise place.fail("needs one of url, urls, and url_env")
    if named == ["urls"]:
        urls = place.parse_texts(table, "urls", ())
    elif named == ["url"]:
        urls = place.parse_texts({"url": [table["url"]]}, "url", ())
    else:
        urls = (env.get(str(table["url_env"]), ""),)
    if not urls or not all("://" in one for one in urls):
        raise place.fail(
            f"{named[0]} must hold a URL of Apprise such as slack://TOKEN/#channel;"
            " a variable must be set where the server runs"
        )
    return urls


def _parse_heartbeat_url(table: Mapping[str, object], env: Mapping[str, str]) -> str:
    variable = table.get("heartbeat_url_env")
    given = env.get(str(variable), "") if variable else table.get("heartbeat_url", "")
    if given == "" and not variable:
        return ""
    try:
        return check_url(str(given))
    except InvalidInput as error:
        raise InvalidInput(f"] heartbeat_url: {error}") from None


def _check_named_table(place: _Place, name: str, given: object) -> dict[str, Any]:
    if not NAME_PATTERN.fullmatch(name):
        raise place.fail("must be named with a-z, 0-9, _ and -")
    if not isinstance(given, dict):
        raise place.fail("must be a table")
    return cast("dict[str, Any]", given)
