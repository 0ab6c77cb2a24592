"""What a worker says before and after decides the outcome of an order."""

from typing import Any

import msgspec
import pytest

from herald_core.model.workers.worker import WorkerView
from herald_server.control.workers.commands import WorkerCommand, parse_command
from herald_server.control.workers.evidence import Evidence, read_evidence
from herald_server.control.workers.outcomes import (
    Verdict,
    decide,
    decide_shutdown,
    find_objection,
)
from herald_server.control.workers.replies import (
    decide_repeat,
    get_verify_timeout_s,
    merge_refusal,
    read_refusal,
)


def prefork(*pids: int, **more: Any) -> dict[str, Any]:
    """Return the `stats` of a prefork worker."""
    pool = {
        "implementation": "celery.concurrency.prefork:TaskPool",
        "max-concurrency": 99,
        "processes": list(pids),
    }
    return {"pool": pool, **more}


def seen(name: str, *stats: object, **given: object) -> Evidence:
    """Return what processes with `stats` show of a command."""
    return read_evidence(parse_command(name, given), {"stats": stats})


GROW = parse_command("pool_grow", {"n": 2})
LIMIT = parse_command("rate_limit", {"task_name": "a", "rate_limit": "9/m"})
CONSUME = parse_command("add_consumer", {"queue": "q"})


def test_a_prefork_pool_is_counted_by_its_processes() -> None:
    evidence = seen("pool_grow", prefork(7, 8, 9))
    assert (evidence.size, evidence.pids, evidence.pool) == (3, (7, 8, 9), "prefork")


def test_a_pool_grows_by_what_was_ordered_and_no_less() -> None:
    before = seen("pool_grow", prefork(7, 8))
    assert decide(GROW, before, before).state == "not_verified"
    assert decide(GROW, before, seen("pool_grow", prefork(7, 8, 9))).message == (
        "The pool has 3, not 4; it had 2 before."
    )
    after = seen("pool_grow", prefork(7, 8, 9, 10))
    assert decide(GROW, before, after).state == "verified"


def test_each_process_of_a_shared_name_grows() -> None:
    before = seen("pool_grow", prefork(7), prefork(8))
    one = seen("pool_grow", prefork(7, 9, 10), prefork(8))
    both = seen("pool_grow", prefork(7, 9, 10), prefork(8, 11, 12))
    assert decide(GROW, before, one).state == "not_verified"
    assert decide(GROW, before, both).state == "verified"


def test_a_process_that_no_longer_answers_verifies_nothing() -> None:
    before = seen("pool_grow", prefork(7), prefork(8))
    after = seen("pool_grow", prefork(7, 9, 10))
    assert "1 of 2 processes" in decide(GROW, before, after).message


@pytest.mark.parametrize(
    "answer", [None, "x", {}, {"pool": 7}, {"pool": {"processes": "x"}}]
)
def test_an_answer_of_another_shape_verifies_nothing(answer: object) -> None:
    before = seen("pool_grow", prefork(7, 8))
    after = seen("pool_grow", answer)
    assert decide(GROW, before, after).state == "not_verified"


def test_a_pool_is_never_shrunk_to_nothing() -> None:
    shrink = parse_command("pool_shrink", {"n": 2})
    objection = find_objection(shrink, seen("pool_shrink", prefork(7, 8), n=2))
    assert objection is not None
    assert "would leave none" in objection.message
    assert find_objection(shrink, seen("pool_shrink", prefork(7, 8, 9), n=2)) is None


def consumed(*names: str) -> list[object]:
    """Return an answer to `active_queues`."""
    return [{"name": name} for name in names]


def test_each_process_must_consume_an_added_queue() -> None:
    before = read_evidence(CONSUME, {"active_queues": [consumed(), consumed()]})
    one = read_evidence(CONSUME, {"active_queues": [consumed("q"), consumed()]})
    both = read_evidence(CONSUME, {"active_queues": [consumed("q"), consumed("q")]})
    assert decide(CONSUME, before, one).state == "not_verified"
    assert decide(CONSUME, before, both).state == "verified"


def limits(text: str, *, off: bool = False) -> Evidence:
    """Return what a worker shows of the rate limit of task `a`."""
    conf = {"worker_disable_rate_limits": True} if off else {}
    return read_evidence(LIMIT, {"registered": [[text, "b"]], "conf": [conf]})


def test_a_rate_limit_is_read_from_the_registered_tasks() -> None:
    before = limits("a")
    assert decide(LIMIT, before, limits("a [rate_limit=9/m]")).state == "verified"
    assert decide(LIMIT, before, limits("a [rate_limit=8/m]")).state == "not_verified"
    ignored = decide(LIMIT, before, limits("a [rate_limit=9/m]", off=True))
    assert (ignored.state, ignored.is_definite) == ("not_verified", True)


def test_a_task_that_is_not_registered_is_not_limited() -> None:
    assert find_objection(LIMIT, limits("aa")) is not None
    assert find_objection(LIMIT, limits("a")) is None


def test_a_refused_shrink_may_have_shrunk_a_part() -> None:
    shrink = parse_command("pool_shrink", {"n": 2})
    busy = {"error": 'ValueError("Can\'t shrink pool. All processes busy!")'}
    refusal = read_refusal(shrink, [busy])
    assert refusal is not None
    assert get_verify_timeout_s(refusal) > 0
    before, after = (
        seen("pool_shrink", prefork(7, 8, 9), n=2),
        seen("pool_shrink", prefork(7, 8), n=2),
    )
    assert (
        merge_refusal(refusal, Verdict("not_verified", "x"), before, before) is refusal
    )
    partly = merge_refusal(refusal, Verdict("not_verified", "2, not 1"), before, after)
    assert partly.state == "not_verified"
    assert "2, not 1" in partly.message


@pytest.mark.parametrize(
    ("reply", "part"),
    [
        ({"error": "AttributeError(\"no has no attribute 'grow'\")"}, "cannot change"),
        ({"error": "something new"}, "refused pool_grow: something new"),
    ],
)
def test_an_error_of_a_worker_is_a_refusal(reply: object, part: str) -> None:
    refusal = read_refusal(GROW, [{"ok": "pool will grow"}, reply])
    assert refusal is not None
    assert part in refusal.message
    assert read_refusal(GROW, [{"ok": "pool will grow"}, None]) is None


def test_events_are_verified_by_the_answer_to_a_second_order() -> None:
    enable = WorkerCommand("enable_events")
    yes, first = {"ok": "task events already enabled"}, {"ok": "task events enabled"}
    assert decide_repeat(enable, [yes]).state == "verified"
    assert decide_repeat(enable, [yes, first]).state == "not_verified"
    assert decide_repeat(enable, []).state == "not_verified"


WORKER = WorkerView(id="w", hostname="w", state="online", pid=7, started_at="t1")


@pytest.mark.parametrize(
    ("now", "part"),
    [
        (None, "is gone"),
        ({"state": "draining", "active": 3}, "its 3 running tasks"),
        ({"state": "offline"}, "shut down"),
        ({"pid": 8}, "another started"),
        ({"started_at": "t2"}, "another started"),
    ],
)
def test_a_worker_that_ends_is_shut_down(now: dict[str, Any] | None, part: str) -> None:
    worker = None if now is None else msgspec.structs.replace(WORKER, **now)
    verdict = decide_shutdown((7, "t1"), worker)
    assert verdict is not None
    assert verdict.state == "verified"
    assert part in verdict.message


@pytest.mark.parametrize("state", ["online", "silent"])
def test_a_worker_that_goes_on_or_says_nothing_is_not(state: str) -> None:
    worker = msgspec.structs.replace(WORKER, state=state)
    assert decide_shutdown((7, "t1"), worker) is None
