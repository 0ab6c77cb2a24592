"""Silences: for a time, alerts that match are not reported. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from herald_core.model.patterns import compile_glob

SILENCE_KIND = "alert-silences"
"""The kind of items in which silences are stored."""

MAX_SILENCE_S = 30 * 86_400.0
"""Maximum duration of a silence, in seconds."""

MAX_SILENCES = 200


class Silence(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A silence of alerts whose rule and subject match the globs.

    `until` is in unix seconds, `by` the name of who asked for it.
    """

    id: str
    rule: str = "*"
    subject: str = "*"
    until: float
    by: str
    comment: str = ""

    def matches(self, rule: str, subject: str, now: float) -> bool:
        """Return True if it silences the alert of `rule` about `subject` at `now`."""
        return (
            self.until > now
            and compile_glob(self.rule)(rule)
            and compile_glob(self.subject)(subject)
        )


def find_silence(
    silences: Iterable[Silence], rule: str, subject: str, now: float
) -> Silence | None:
    """Return the silence of an alert that lasts longest; None if there is none."""
    found = [one for one in silences if one.matches(rule, subject, now)]
    return max(found, key=lambda one: one.until, default=None)
