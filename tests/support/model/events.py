"""Short words for the tests of the model: events, tasks, strategies."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from hypothesis import strategies as st

from herald_core.model.events.event import Event, Progress
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task, join, merge
from herald_core.model.tasks.views import TaskView

T0 = 1_800_000_000.0
"""When the tests happen."""

SKEWS = [-300.0, -60.0, 0.0, 60.0, 300.0]
"""Seconds by which clocks of workers run ahead."""

NAMES_ITS_ATTEMPT = ("sent", "received")


def say(word: str, clock: int = 0, **more: object) -> Event:
    """Return the event that `word` means: `kind`, `kind:retries`, `rejected!`.

    `!` sets the flag: requeued, terminated. Time runs with the clock.
    """
    flag = word.endswith("!")
    kind, _, retries = word.rstrip("!").partition(":")
    fields: dict[str, object] = {
        "kind": kind,
        "task_id": "t1",
        "at": T0 + clock,
        "host": "client" if kind == "sent" else "w1",
        "pid": 1,
        "clock": clock,
        "flag": flag,
        "retries": int(retries or 0) if kind in NAMES_ITS_ATTEMPT else None,
        "progress": Progress(percent=50.0) if kind == "progress" else None,
    }
    return Event(**(fields | more))  # type: ignore[arg-type]


def story(words: str, *, host: str = "w1", pid: int = 1, clock: int = 1) -> list[Event]:
    """Return what one worker says, in its order: `received started succeeded`."""
    return [
        say(word, clock + i)
        if word.startswith("sent")
        else say(word, clock + i, host=host, pid=pid)
        for i, word in enumerate(words.split())
    ]


def known(events: Iterable[Event]) -> Task:
    """Return what is known once `events` are."""
    task: Task | None = None
    for event in events:
        task = merge(task, event)
    assert task is not None
    return task


def shown(events: Iterable[Event]) -> TaskView:
    """Return the task that `events` tell of, as it is shown."""
    return project(known(events))


def worker(
    words: str,
    host: str,
    begun: float,
    *,
    skew: float = 0.0,
    clock: int = 1,
    pid: int = 1,
) -> list[Event]:
    """Return what `host` says each second from `begun` on, by its clock."""
    told: list[Event] = []
    for i, word in enumerate(words.split()):
        heard = T0 + begun + i
        said = heard + skew
        own = said if said > heard else None
        at = min(said, heard)
        told.append(
            say(
                word,
                clock + i,
                host=host,
                pid=pid,
                at=at,
                arrived_at=heard,
                worker_time=own,
            )
        )
    return told


def found(kind: str, at: float, source: str = "backend", **more: object) -> Event:
    """Return what asking finds out."""
    return say(
        kind, 0, **{"at": T0 + at, "source": source, "host": "", "pid": 0} | more
    )


def joined(tasks: Iterable[Task]) -> Task:
    """Return all that `tasks` know."""
    return reduce(join, tasks)


# ---- drawn from few values, so that they collide -------------------------------

TEXTS = st.sampled_from([None, "", "a", "b"])
TIMES = st.sampled_from([T0 - 60.0, T0, T0 + 0.5, T0 + 2.0, T0 + 90.0])
MAYBE_TIMES = st.none() | TIMES
NUMBERS = st.sampled_from([None, 0.0, 50.0, 100.0])
PROGRESS = st.builds(Progress, percent=NUMBERS, current=NUMBERS, message=TEXTS)

FACTS = {
    "name": TEXTS,
    "args": TEXTS,
    "queue": TEXTS,
    "priority": st.sampled_from([None, 0, 1]),
    "tags": st.sampled_from([None, (), ("x",), ("y", "x")]),
    "group_id": st.sampled_from([None, "g1", "g2"]),
    "group_index": st.sampled_from([None, 0, 1]),
    "chord_id": st.sampled_from([None, "c1", "c2"]),
    "stamps": st.sampled_from([None, '{"s":["a"]}', '{"s":["b"]}']),
    "trace_id": st.sampled_from([None, "1", "2"]),
    "parent_span_id": st.sampled_from([None, "1", "2"]),
}

ENDINGS = ("retried", "succeeded", "failed", "revoked", "rejected", "cancelled")

said_by_workers = st.builds(
    Event,
    kind=st.sampled_from(["sent", "received", "started", "progress", *ENDINGS]),
    task_id=st.just("t1"),
    at=TIMES,
    source=st.sampled_from(["event", "event", "event", "submitted"]),
    host=st.sampled_from(["w1", "w2"]),
    pid=st.sampled_from([1, 2]),
    clock=st.integers(1, 6),
    retries=st.sampled_from([None, 0, 1, 2]),
    result=TEXTS,
    exception=TEXTS,
    traceback=TEXTS,
    runtime=NUMBERS,
    eta=MAYBE_TIMES,
    expires=MAYBE_TIMES,
    flag=st.booleans(),
    progress=PROGRESS,
    arrived_at=MAYBE_TIMES,
    worker_time=MAYBE_TIMES,
    **FACTS,
)

found_out = st.builds(
    Event,
    kind=st.sampled_from(["received", "started", "progress", "lost", *ENDINGS]),
    task_id=st.just("t1"),
    at=TIMES,
    source=st.sampled_from(["backend", "inspect", "inferred"]),
    host=st.sampled_from(["", "w1"]),
    retries=st.sampled_from([None, 0, 1]),
    result=TEXTS,
    exception=TEXTS,
    runtime=NUMBERS,
    progress=PROGRESS,
    arrived_at=MAYBE_TIMES,
    **FACTS,
)

events = said_by_workers | found_out


@st.composite
def histories(draw: st.DrawFn, most: int = 8) -> list[Event]:
    """Draw events of one task, some of them delivered twice."""
    told = draw(st.lists(events, min_size=1, max_size=most))
    again = draw(st.lists(st.sampled_from(told), max_size=2))
    return told + again


tasks = histories().map(known)
