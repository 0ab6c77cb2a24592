"""Which workers have yet to be told of the cancels that are kept."""

from typing import Any

from herald_monitor.model.workers import WorkerImage
from herald_server.repeating import TRIES, Joined


def worker(hostname: str, pid: int = 1, **fields: Any) -> WorkerImage:
    given: dict[str, Any] = {"state": "online", "started_at": "then", **fields}
    return WorkerImage(id=hostname, hostname=hostname, pid=pid, **given)


def test_who_answered_is_not_told_again() -> None:
    joined, workers = Joined(), [worker("a"), worker("b")]
    asked = joined.open(workers)
    assert set(asked) == {"a", "b"}
    joined.answered(asked.values(), {"a"})
    assert set(joined.open(workers)) == {"b"}


def test_a_worker_that_was_started_again_is_told_again() -> None:
    joined = Joined()
    joined.answered(joined.open([worker("a")]).values(), {"a"})
    assert set(joined.open([worker("a", pid=2)])) == {"a"}


def test_workers_that_are_silent_are_not_asked() -> None:
    joined = Joined()
    assert joined.open([worker("a", state="silent")]) == {}


def test_a_worker_that_never_answers_is_given_up() -> None:
    joined = Joined()
    for _ in range(TRIES):
        asked = joined.open([worker("a")])
        assert set(asked) == {"a"}
        joined.answered(asked.values(), set())
    assert joined.open([worker("a")]) == {}


def test_who_takes_over_tells_everybody() -> None:
    joined = Joined()
    joined.answered(joined.open([worker("a")]).values(), {"a"})
    joined.forget()
    assert set(joined.open([worker("a")])) == {"a"}
