"""The keys of a query text, their other names, and the words for states. Pure."""

from __future__ import annotations

from herald_core.model.tasks.views import FINAL_STATES, STATES

FILTER_ALIASES = {
    "ids": "ids",
    "id": "ids",
    "name": "name",
    "task": "name",
    "type": "name",
    "state": "state",
    "states": "state",
    "status": "state",
    "worker": "worker",
    "host": "worker",
    "queue": "queue",
    "root": "root",
    "parent": "parent",
    "group": "group",
    "tag": "tag",
    "tags": "tag",
    "failure": "failure",
    "cause": "failure",
}
"""Keys of the structured filter, by what may be written."""

TEXT_PLACES = {
    "text": "text",
    "args": "args",
    "kwargs": "kwargs",
    "result": "result",
    "error": "error",
    "exception": "exception",
    "traceback": "traceback",
}
"""Keys of texts, and the place of each."""

RANGE_ALIASES = {
    "submitted": "submitted",
    "sent": "submitted",
    "received": "received",
    "started": "started",
    "finished": "finished",
    "ended": "finished",
    "runtime": "runtime",
    "took": "runtime",
    "wait": "wait",
    "waited": "wait",
}
"""Keys of times and durations, by what may be written."""

AFTER_KEYS = ("last", "since", "after")
BEFORE_KEYS = ("until", "before")

ALL_KEYS = (
    *FILTER_ALIASES,
    *TEXT_PLACES,
    *RANGE_ALIASES,
    *AFTER_KEYS,
    *BEFORE_KEYS,
    "sort",
)

EXAMPLES = {
    "ids": "id:1f0c3a52",
    "name": "name:reports.*",
    "state": "state:FAILURE,RETRY",
    "worker": "worker:w01",
    "kwargs": "kwargs.order_id:12345",
    "args": "args.0:12345",
    "runtime": "took:>10s",
    "wait": "wait:>1m",
    "started": "started:>02:00",
    "finished": "finished:02:00..02:30",
    "last": "last:10m",
    "since": "since:02:00",
    "until": "until:03:00",
    "sort": "sort:-runtime",
}
"""A word for each key that needs an example."""

STATE_WORDS: dict[str, tuple[str, ...]] = {
    "failed": ("FAILURE",),
    "failing": ("FAILURE",),
    "failures": ("FAILURE",),
    "running": ("STARTED",),
    "pending": ("PENDING",),
    "waiting": ("PENDING", "RECEIVED"),
    "queued": ("PENDING", "RECEIVED"),
    "succeeded": ("SUCCESS",),
    "successful": ("SUCCESS",),
    "retrying": ("RETRY",),
    "cancelled": ("REVOKED",),
    "canceled": ("REVOKED",),
    "unfinished": ("PENDING", "RECEIVED", "STARTED", "RETRY"),
    "finished": tuple(state for state in STATES if state in FINAL_STATES),
    **{state.lower(): (state,) for state in STATES},
}
"""Words for states; written alone, each selects these states."""
