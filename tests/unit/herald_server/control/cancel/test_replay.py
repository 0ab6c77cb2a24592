"""Which workers have yet to be told of the cancels that are kept."""

from typing import Any

from herald_core.model.workers.worker import WorkerView
from herald_server.control.cancel.replay import MAX_TRIES, PendingBoots


def worker(hostname: str, pid: int = 1, **fields: Any) -> WorkerView:
    given: dict[str, Any] = {"state": "online", "started_at": "then", **fields}
    return WorkerView(id=hostname, hostname=hostname, pid=pid, **given)


def test_who_answered_is_not_told_again() -> None:
    joined, workers = PendingBoots(), [worker("a"), worker("b")]
    asked = joined.find_pending(workers)
    assert set(asked) == {"a", "b"}
    joined.record_answers(asked.values(), {"a"})
    assert set(joined.find_pending(workers)) == {"b"}


def test_a_worker_that_was_started_again_is_told_again() -> None:
    joined = PendingBoots()
    joined.record_answers(joined.find_pending([worker("a")]).values(), {"a"})
    assert set(joined.find_pending([worker("a", pid=2)])) == {"a"}


def test_workers_that_are_silent_are_not_asked() -> None:
    joined = PendingBoots()
    assert joined.find_pending([worker("a", state="silent")]) == {}


def test_a_worker_that_never_answers_is_given_up() -> None:
    joined = PendingBoots()
    for _ in range(MAX_TRIES):
        asked = joined.find_pending([worker("a")])
        assert set(asked) == {"a"}
        joined.record_answers(asked.values(), set())
    assert joined.find_pending([worker("a")]) == {}


def test_who_takes_over_tells_everybody() -> None:
    joined = PendingBoots()
    joined.record_answers(joined.find_pending([worker("a")]).values(), {"a"})
    joined.clear()
    assert set(joined.find_pending([worker("a")])) == {"a"}
