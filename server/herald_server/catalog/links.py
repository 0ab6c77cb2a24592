"""Links to logs, traces and error trackers, as `[links]` in `herald.toml`.

[links]
Logs = "https://logs.example.org/?query={id}"
Sentry = "https://sentry.example.org/issues/?query={name}"
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from herald_core.errors import InvalidInput
from herald_core.system.toml_tables import read_toml_table

FIELDS = (
    *("id", "name", "worker", "queue", "pid", "trace_id", "root_id", "parent_id"),
    *("group_id", "state", "attempt", "submitted_at", "received_at", "started_at"),
    *("finished_at", "submitted_ms", "received_ms", "started_ms", "finished_ms"),
)
"""What a template may hold in braces; `…_ms` are milliseconds since 1970."""

MAX_LINKS = 10
MAX_LABEL_CHARS = 40
MAX_URL_CHARS = 2_000

_PLACE = re.compile(r"\{([^{}]*)\}")


class TaskLink(msgspec.Struct, frozen=True):
    """A link of every task: `url` is an https address with fields in braces."""

    label: str
    url: str


def read_links(path: Path) -> tuple[TaskLink, ...]:
    """Return the links of a `herald.toml`. Raises `InvalidInput` with the line."""
    given = read_toml_table(path, "links", "a table [links]")
    if len(given) > MAX_LINKS:
        raise InvalidInput(f"{path}: [links] has more than {MAX_LINKS} links")
    return tuple(_parse_link(path, label, url) for label, url in given.items())


def _parse_link(path: Path, label: str, url: object) -> TaskLink:
    problem = _find_problem(label, url)
    if problem:
        raise InvalidInput(f"{path}: [links] {label[:MAX_LABEL_CHARS]!r} {problem}")
    return TaskLink(label, str(url))


def _find_problem(label: str, url: object) -> str:
    if not label.strip() or len(label) > MAX_LABEL_CHARS:
        return f"must have 1 to {MAX_LABEL_CHARS} characters"
    if not isinstance(url, str) or not url.startswith("https://"):
        return 'must be a text that begins with "https://"'
    if len(url) > MAX_URL_CHARS:
        return f"must have at most {MAX_URL_CHARS} characters"
    unknown = [name for name in _PLACE.findall(url) if name not in FIELDS]
    if unknown:
        return f"has {{{unknown[0]}}}; there are {', '.join(FIELDS)}"
    if "{" in url.removeprefix("https://").partition("/")[0]:
        return "must name its host without braces"
    return ""
