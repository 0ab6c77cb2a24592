"""Tasks of the kinds that canvases are made of; registered by `project.py`.

All take whatever stands before them in a canvas. Each run notes what its request
says of its place, so that a test can compare that with what Herald shows.
"""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from celery import Task, chain, chord, group
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

NOTES = "canvas-notes"
"""The list in the result backend's Redis in which each run is noted."""


class Noted(Task):  # type: ignore[type-arg]
    """A task that notes the place of each of its runs."""

    abstract = True

    def before_start(self, task_id: str, args: object, kwargs: object) -> None:
        request = cast(Any, self).request
        note = {
            "id": task_id,
            "name": self.name,
            "root": request.root_id,
            "parent": request.parent_id,
            "group": request.group,
            "retries": request.retries,
        }
        cast(Any, self).backend.client.rpush(NOTES, json.dumps(note))


def total(told: object) -> int:
    """Return the sum of all numbers in `told`, however deep they lie."""
    if isinstance(told, int):
        return told
    if isinstance(told, str | bytes | dict) or not isinstance(told, Iterable):
        return 0
    return sum(total(one) for one in cast(Iterable[object], told))


def add(*numbers: object) -> int:
    """Add what is given and what stands before, be it lists of lists."""
    return total(numbers) % 1_000_003


def pair(x: int, y: int) -> int:
    """Add just two: a canvas that gives another number of them fails."""
    return x + y


def delayed_sum(*numbers: object) -> int:
    """Add, but take a while."""
    time.sleep(0.02)
    return total(numbers)


def guarded(*numbers: object) -> int:
    """Run into the soft time limit, where a pool keeps it, and go on."""
    try:
        time.sleep(0.05)
    except SoftTimeLimitExceeded:
        return 0
    return total(numbers)


def ids(self: Any, *before: object) -> list[object]:
    """Return the place that the request tells."""
    return [self.request.root_id, self.request.parent_id]


def fail(*before: object) -> None:
    """Fail, whatever stands before."""
    raise ValueError("on purpose")


def retry_once(self: Any, *numbers: object) -> int:
    """Succeed in the second attempt, or fail in it if there is a -1."""
    if not self.request.retries or -1 in numbers:
        raise self.retry(countdown=0.3, max_retries=1, exc=ValueError("again"))
    return total(numbers)


def auto_retry(self: Any, *numbers: object) -> int:
    """Be retried by what Celery makes of an exception."""
    if not self.request.retries:
        raise KeyError("at first")
    return total(numbers)


def refuse(*before: object) -> None:
    """Be rejected for good."""
    raise Reject("no", requeue=False)


def refuse_once(self: Any, *numbers: object) -> int:
    """Be put back into the queue once."""
    if not self.request.delivery_info.get("redelivered"):
        raise Reject("not now", requeue=True)
    return total(numbers)


def ignored(*before: object) -> None:
    """End without an ending."""
    raise Ignore


def stepwise(self: Any, *numbers: object) -> int:
    """Tell of progress in the result backend and by events."""
    for step in (1, 2):
        self.update_state(state="PROGRESS", meta={"current": step, "total": 2})
        self.send_event("task-progress", current=step, total=2)
    return total(numbers)


def replaced(self: Any, by: str, *numbers: object) -> object:
    """Let something else run in its place: one of `REPLACEMENTS`."""
    return self.replace(REPLACEMENTS[by](self.app, total(numbers) % 1_000))


def joined_by(self: Any, *numbers: object) -> int:
    """Add tasks to the chord that it is in, if it is in one."""
    if self.request.chord:
        self.add_to_chord(_add(self.app, 1, total(numbers)))
        self.add_to_chord(group(_add(self.app, 2), _add(self.app, 3)) | _add(self.app))
    return total(numbers)


def starts(self: Any, what: str, *numbers: object) -> int:
    """Send a canvas of its own, and wait for nothing."""
    REPLACEMENTS[what](self.app, total(numbers) % 1_000).apply_async()
    return total(numbers)


def told_id(self: Any, failed_id: object) -> str:
    """Be called as an error's callback of the old kind, as a task of its own."""
    return str(failed_id)


def told_all(request: Any, error: object, traceback: object) -> None:
    """Be called as an error's callback of the new kind, where it happened."""


def _add(app: Any, *numbers: int) -> Any:
    return app.signature("canvas.add", numbers)


REPLACEMENTS: dict[str, Callable[[Any, int], Any]] = {
    "task": lambda app, n: _add(app, n, 1),
    "failure": lambda app, n: app.signature("canvas.fail", (n,)),
    "retry": lambda app, n: app.signature("canvas.retry_once", (n,)),
    "again": lambda app, n: app.signature("canvas.replaced", ("task", n)),
    "chain": lambda app, n: chain(_add(app, n), _add(app, 2), _add(app, 3)),
    "broken": lambda app, n: chain(_add(app, n), app.signature("canvas.fail")),
    "group": lambda app, n: group(_add(app, n, 1), _add(app, n, 2)),
    "chord": lambda app, n: chord([_add(app, n), _add(app, 2)], _add(app, 3)),
    "tail": lambda app, n: chain(_add(app, n), group(_add(app, 1), _add(app, 2))),
    "slow": lambda app, n: chain(app.signature("sleepy", (n,)), _add(app, 3)),
}
"""What a task can be replaced with, or start, by name."""

_SOFT = {"soft_time_limit": 0.02}
_AGAIN = {"autoretry_for": (KeyError,), "retry_kwargs": {"countdown": 0.3}}

TASKS: dict[str, tuple[Callable[..., object], dict[str, object]]] = {
    "canvas.add": (add, {}),
    "canvas.pair": (pair, {"typing": False}),
    "canvas.delayed_sum": (delayed_sum, {}),
    "canvas.guarded": (guarded, dict(_SOFT)),
    "canvas.ids": (ids, {"bind": True}),
    "canvas.fail": (fail, {}),
    "canvas.retry_once": (retry_once, {"bind": True}),
    "canvas.auto_retry": (auto_retry, {"bind": True, **_AGAIN}),
    "canvas.refuse": (refuse, {"acks_late": True}),
    "canvas.refuse_once": (refuse_once, {"bind": True, "acks_late": True}),
    "canvas.ignored": (ignored, {}),
    "canvas.no_result": (add, {"ignore_result": True}),
    "canvas.stepwise": (stepwise, {"bind": True}),
    "canvas.replaced": (replaced, {"bind": True}),
    "canvas.joined_by": (joined_by, {"bind": True}),
    "canvas.starts": (starts, {"bind": True}),
    "canvas.told_id": (told_id, {"bind": True}),
    "canvas.told_all": (told_all, {}),
}
for _name, (_function, _options) in TASKS.items():
    _options["base"] = Noted
