"""The transition table in `server/docs/explanation/model.md`, as the model makes it.

`python -m tests.support.model.transition_table` writes it anew.
"""

from __future__ import annotations

from herald_core.model.events.event import Event
from herald_core.model.tasks.views import TaskView
from tests.support.environment import DOCS
from tests.support.model.events import T0, say, shown, story

PAGE = DOCS / "explanation" / "model.md"
SAME = "\u2013"
BEGIN, END = "<!-- transitions -->", "<!-- /transitions -->"

STATES = {
    "(nothing heard)": "",
    "PENDING": "sent",
    "RECEIVED": "received",
    "STARTED": "received started",
    "RETRY": "received started retried",
    "SUCCESS": "received started succeeded",
    "FAILURE": "received started failed",
    "REVOKED": "received started revoked!",
    "REJECTED": "received started rejected",
    "LOST": "received started lost",
}

WORDS = {
    "sent": "sent",
    "received": "received",
    "started": "started",
    "progress": "progress",
    "retried": "retried",
    "succeeded": "succeeded",
    "failed": "failed",
    "revoked": "revoked",
    "rejected": "rejected",
    "rejected (requeue)": "rejected!",
    "cancelled": "cancelled",
    "backend: SUCCESS": "backend succeeded",
    "backend: FAILURE": "backend failed",
    "inspect: active": "inspect started",
    "lost": "inferred lost",
}


def render() -> str:
    """Return the table: a row a state, a column a word that comes next."""
    head = "| state | " + " | ".join(WORDS) + " |"
    rule = "|---" * (len(WORDS) + 1) + "|"
    rows = [
        f"| **{state}** | "
        + " | ".join(_cell(before, w) for w in WORDS.values())
        + " |"
        for state, before in STATES.items()
    ]
    return "\n".join([head, rule, *rows])


def _cell(before: str, word: str) -> str:
    told = _told(before)
    # The next attempt is the only one that can be sent or received in RETRY.
    named = word in ("sent", "received") and before.endswith("retried")
    after = shown([*told, _next(f"{word}:1" if named else word, len(told) + 1)])
    if told and _same(shown(told), after):
        return SAME
    mark = "!" if after.conflict else ""
    attempt = f" ({after.attempt})" if (after.attempt or 1) > 1 else ""
    return after.state + mark + attempt


def _same(before: TaskView, after: TaskView) -> bool:
    return (before.state, before.attempt, before.conflict) == (
        after.state,
        after.attempt,
        after.conflict,
    )


def _told(words: str) -> list[Event]:
    lived = words.replace(" lost", "")
    told = story(lived)
    return [*told, _found("lost", "inferred", 30)] if lived != words else told


def _next(word: str, clock: int) -> Event:
    source, _, kind = word.rpartition(" ")
    return _found(kind, source, 60) if source else say(kind, clock, arrived_at=T0 + 60)


def _found(kind: str, source: str, at: float) -> Event:
    return say(kind, 0, at=T0 + at, source=source, host="", pid=0)


def written() -> str:
    """Return the table that stands in the page."""
    _, _, rest = PAGE.read_text().partition(BEGIN)
    return rest.partition(END)[0].strip()


def write() -> None:
    """Put the table into the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{render()}\n\n{END}{after}")


if __name__ == "__main__":
    write()
