"""The receivers of alerts, and the settings of the table `[alerts]`. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from herald_core.model.alerts.alert import SEVERITIES
from herald_core.model.patterns import compile_glob
from herald_server.alerts.rules import BUILT_IN_RULES, AlertRule


class AlertReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver of notices through Apprise.

    It gets those of the `rules` (globs) that are at least as severe as `severity`. Its
    `urls` hold credentials, so no interface shows them.
    """

    name: str
    urls: tuple[str, ...]
    rules: tuple[str, ...] = ("*",)
    severity: str = SEVERITIES[0]

    def matches(self, rule: str, severity: str) -> bool:
        """Return True if it gets notices of `rule` with `severity`."""
        is_severe = SEVERITIES.index(severity) >= SEVERITIES.index(self.severity)
        return is_severe and any(compile_glob(one)(rule) for one in self.rules)


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The table `[alerts]` of a herald.toml. Times are in seconds.

    Notices that arise within `group_wait` are sent in one message. `heartbeat_url` is
    requested every `heartbeat_interval` while Herald receives events.
    """

    rules: tuple[AlertRule, ...] = BUILT_IN_RULES
    receivers: tuple[AlertReceiver, ...] = ()
    group_wait: float = 5.0
    heartbeat_url: str = ""
    heartbeat_interval: float = 60.0

    def list_enabled(self) -> tuple[AlertRule, ...]:
        """Return the rules that are in force."""
        return tuple(rule for rule in self.rules if rule.enabled)

    def find_rule(self, name: str) -> AlertRule | None:
        """Return the rule with a name; None if there is none."""
        return next((rule for rule in self.rules if rule.name == name), None)


def list_receiver_names(receivers: Iterable[AlertReceiver]) -> str:
    """Return the names of receivers as text."""
    return ", ".join(one.name for one in receivers) or "none"
