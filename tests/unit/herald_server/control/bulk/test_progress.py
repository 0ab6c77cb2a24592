"""The progress of an order: each task is in one place, whatever breaks off."""

import random

import pytest

from herald_server.control.bulk import progress as steps
from herald_server.control.bulk.order import (
    DONE,
    NOT_RESENDABLE,
    SENT,
    UNCERTAIN,
    Outcome,
)
from herald_server.control.bulk.progress import UNCERTAINTY_S, OrderProgress

OK = Outcome(SENT)


def test_tasks_are_begun_in_order_and_counted() -> None:
    begun = steps.begin(OrderProgress(), ["a", "b"], 2)
    assert (begun.in_flight, begun.cursor) == (("a", "b"), 2)
    done = steps.finish(begun, {"a": OK, "b": OK}, (), 1.0)
    assert (done.in_flight, done.outcomes, done.handled) == ((), {SENT: 2}, 2)


def test_a_task_that_was_not_sent_is_sent_before_the_next_ones() -> None:
    begun = steps.begin(OrderProgress(), ["a", "b"], 2)
    broken = steps.finish(begun, {"a": OK}, {"b"}, 1.0)
    assert (broken.again, broken.unconfirmed) == (("b",), ())
    again = steps.begin(broken, ["c", "d"], 2)
    assert (again.in_flight, again.cursor) == (("b", "c"), 3)


def test_a_task_whose_sending_broke_off_is_in_doubt_and_not_sent_again() -> None:
    begun = steps.begin(OrderProgress(updated_at=5.0), ["a", "b"], 2)
    broken = steps.finish(begun, {"a": OK}, (), 7.0)
    assert (broken.unconfirmed, broken.unconfirmed_since, broken.sent_since) == (
        ("b",),
        7.0,
        5.0,
    )
    assert not steps.has_work(broken, 2)
    assert steps.end_if_done(broken, 2) is broken


def test_what_is_in_flight_is_in_doubt_for_the_process_that_takes_over() -> None:
    begun = steps.begin(OrderProgress(updated_at=5.0), ["a", "b"], 2)
    taken = steps.take_over(begun, 9.0)
    assert (taken.in_flight, taken.unconfirmed, taken.unconfirmed_count) == (
        (),
        ("a", "b"),
        2,
    )
    assert steps.take_over(taken, 10.0) == taken


def test_evidence_ends_a_doubt() -> None:
    taken = steps.take_over(steps.begin(OrderProgress(), ["a", "b", "c"], 3), 9.0)
    known = steps.resolve(taken, {"a": OK}, {"b"})
    assert (known.outcomes, known.again, known.unconfirmed) == (
        {SENT: 1},
        ("b",),
        ("c",),
    )


def test_a_doubt_without_evidence_ends_as_uncertain() -> None:
    taken = steps.take_over(steps.begin(OrderProgress(), ["a"], 1), 9.0)
    assert steps.end_unconfirmed(taken, {}, 9.0 + UNCERTAINTY_S - 1) is taken
    ended = steps.end_unconfirmed(taken, {"a": "new"}, 9.0 + UNCERTAINTY_S)
    assert ended.outcomes == {UNCERTAIN: 1}
    assert ended.failures[0].new_id == "new"
    assert steps.end_if_done(ended, 1).state == DONE


def test_only_the_first_failures_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MAX_FAILURES", 1)
    bad = Outcome(NOT_RESENDABLE, "they were cut off" * 100)
    counted = steps.count(OrderProgress(), {"a": bad, "b": bad, "c": OK})
    assert counted.outcomes == {NOT_RESENDABLE: 2, SENT: 1}
    assert [one.task_id for one in counted.failures] == ["a"]
    assert len(counted.failures[0].reason) == steps.MAX_REASON_CHARS


def test_a_problem_lasts_from_its_beginning() -> None:
    first = steps.set_problem(OrderProgress(), "no broker", 1.0)
    later = steps.set_problem(first, "no route", 5.0)
    assert (later.problem, later.problem_since) == ("no route", 1.0)
    assert steps.set_problem(later, "", 6.0).problem == ""
    assert steps.set_problem(later, "no route", 9.0) is later


@pytest.mark.parametrize("seed", range(30))
def test_whatever_breaks_off_each_task_has_one_place(seed: int) -> None:
    """Deaths, refusals, errors and evidence in any order lose and repeat no task."""
    chance, ids = random.Random(seed), [str(n) for n in range(40)]
    progress, sent = OrderProgress(), dict.fromkeys(ids, 0)
    for now in range(2_000):
        if progress.unconfirmed:
            was = {id_: OK for id_ in progress.unconfirmed if sent[id_]}
            progress = steps.resolve(progress, was, {*progress.unconfirmed} - {*was})
        fresh = ids[progress.cursor : progress.cursor + 5]
        progress = steps.begin(progress, fresh, 5)
        reached = chance.randrange(len(progress.in_flight) + 1)
        for id_ in progress.in_flight[:reached]:
            sent[id_] += 1
        if chance.random() < 0.4:  # the process dies without a word
            progress = steps.take_over(progress, float(now))
        else:
            known = dict.fromkeys(progress.in_flight[:reached], OK)
            rest = set(progress.in_flight[reached:])
            progress = steps.finish(progress, known, rest, float(now))
        progress = steps.end_if_done(progress, len(ids))
        if progress.is_over:
            break
    assert progress.state == DONE
    assert progress.outcomes == {SENT: len(ids)}
    assert set(sent.values()) == {1}
