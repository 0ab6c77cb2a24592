"""Attempts that a worker has in flight: what it remembers of them, and for how long."""

from typing import Any

from herald_worker.outbox.unreported_runs import (
    MAX_ENDED_ATTEMPTS,
    AttemptEventer,
    AttemptsInFlight,
)


class Eventer:
    """A dispatcher that keeps what it is given."""

    enabled = True

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(self, kind: str, **fields: Any) -> None:
        self.sent.append((kind, fields))


class Request:
    """A request as far as it is read here."""

    def __init__(self, task_id: str) -> None:
        self.id = task_id
        self.eventer = Eventer()


def make_eventer(request: Request) -> AttemptEventer:
    return AttemptEventer(request, (request.id, 2))


def test_an_event_names_the_attempt() -> None:
    request = Request("a")
    make_eventer(request).send("task-started", uuid="a")
    assert request.eventer.sent == [("task-started", {"uuid": "a", "retries": 2})]


def test_an_event_that_names_its_attempt_itself_keeps_it() -> None:
    request = Request("a")
    make_eventer(request).send("task-retried", uuid="a", retries=5)
    assert request.eventer.sent == [("task-retried", {"uuid": "a", "retries": 5})]


def test_attempts_that_end_without_an_event_take_no_memory() -> None:
    attempts = AttemptsInFlight()
    waiting = Request("waits")
    attempts.add(make_eventer(waiting))
    for number in range(10 * MAX_ENDED_ATTEMPTS):
        attempts.add(make_eventer(Request(f"t{number}")))
    assert len(attempts) <= MAX_ENDED_ATTEMPTS + 2
    assert (waiting.id, 2) in attempts.take_all()


def test_an_attempt_whose_message_came_again_stays() -> None:
    attempts, request = AttemptsInFlight(), Request("a")
    first, second = make_eventer(request), make_eventer(request)
    attempts.add(first)
    attempts.add(second)
    attempts.remove(first)
    assert len(attempts) == 1
    attempts.remove(second)
    assert not len(attempts)
