"""Random events that collide, for property tests of the stores."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from herald_core.model.events.event import Event, Progress
from tests.support.store.labs import NOW

IDS = ["a", "b", "c", "d", "e"]
NAMES = ["x.add", "x.sub", "y", "*"]
TASK_KINDS = [
    *("sent", "received", "started", "succeeded", "failed", "retried", "revoked"),
    *("rejected", "cancelled", "progress"),
]

RELAXED = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def few(*values: Any) -> st.SearchStrategy[Any]:
    """Draw few values, so that they collide."""
    return st.sampled_from(values)


@st.composite
def an_event(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(TASK_KINDS))
    fields: dict[str, Any] = {}
    if kind in ("sent", "received"):
        fields = {
            "name": draw(few(None, *NAMES)),
            "queue": draw(few(None, "q1", "q2")),
            "root_id": draw(few(None, *IDS)),
            "parent_id": draw(few(None, *IDS)),
            "group_id": draw(few(None, "g1", "g2")),
            "retries": draw(few(None, 0, 1)),
            "tags": draw(few(None, ("t1",), ("t1", "t2"))),
        }
    if kind == "progress":
        fields = {"progress": Progress(draw(few(0.0, 50.0)))}
    return Event(
        kind=kind,
        task_id=draw(st.sampled_from(IDS)),
        at=NOW + draw(few(0, 1, 2, 3)),
        host=draw(few("w1@h", "w2@h", "w*")),
        pid=1,
        clock=draw(st.integers(0, 4)),
        flag=draw(st.booleans()),
        **fields,
    )
