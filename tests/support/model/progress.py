"""Events of progress."""

from herald_core.model.events.event import Event, Progress
from tests.support.model.events import T0, say


def step(at: float, clock: int, value: float, host: str = "a") -> Event:
    """Return a word of progress."""
    done = Progress(percent=value)
    return say("progress", clock, at=T0 + at, host=host, pid=9, progress=done)
