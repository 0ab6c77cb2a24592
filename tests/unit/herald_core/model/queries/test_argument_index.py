"""Declared arguments become tags; what is not certain does not."""

from typing import Any

import pytest

from herald_core.errors import InvalidInput
from herald_core.model.events.event import Event
from herald_core.model.queries.argument_index import (
    MAX_CACHED_NAMES,
    MAX_INDEXED_CHARS,
    MAX_PATHS,
    MAX_RULES,
    ArgumentIndex,
    list_query_terms,
    parse_index,
)
from herald_core.model.queries.text_term import TextTerm
from herald_core.model.tasks.projection import project, project_full
from herald_core.model.tasks.task import join, merge

TABLE = {"orders.*": ["kwargs.order_id", "args.0"], "mail.send": "kwargs.to.id"}


def index() -> ArgumentIndex:
    found = parse_index(TABLE)
    assert found is not None
    return found


def received(name: str | None = "orders.pay", at: float = 1.0, **more: Any) -> Event:
    more = {"args": "(7, 'x')", "kwargs": "{'order_id': 12345}", "clock": 1, **more}
    return Event(kind="received", task_id="t", at=at, name=name, host="w", **more)


def terms(event: Event) -> tuple[str, ...] | None:
    [found] = index().add_terms([event])
    return found.index_terms


def test_values_of_declared_arguments() -> None:
    assert terms(received()) == ("kwargs.order_id:12345", "args.0:7")
    nested = received("mail.send", kwargs="{'to': {'id': 'a b'}}")
    assert terms(nested) == ("kwargs.to.id:a b",)


@pytest.mark.parametrize(
    "event",
    [
        received("other"),
        received(None),
        received("orders.pay", args=None, kwargs=None),
        received("mail.send", kwargs="{'to': {'id': '[redacted]'}}"),
        received("mail.send", kwargs="{'to': {'id': 'abc...'}}"),
        received("mail.send", kwargs="{'to': {'id': ''}}"),
        received("mail.send", kwargs="{'to': {'id': 'a\\nb'}}"),
        received(
            "mail.send", kwargs=f"{{'to': {{'id': '{'x' * MAX_INDEXED_CHARS}'}}}}"
        ),
    ],
)
def test_what_is_not_certain_is_not_indexed(event: Event) -> None:
    assert terms(event) is None


def test_tags_of_the_sender_stay_beside_those_of_arguments() -> None:
    """The worker reports no tags, and its clock is behind the sender's."""
    sent = Event(
        kind="sent", task_id="t", at=5.0, name="orders.pay", host="c", clock=1,
        args="(7,)", kwargs="{'order_id': 12345}", tags=("user:42",),
    )  # fmt: skip
    both = index().add_terms([sent, received(at=1.0, args="(7,)")])
    for first, second in (both, both[::-1]):
        task = merge(merge(None, first), second)
        expected = ("args.0:7", "kwargs.order_id:12345", "user:42")
        assert project(task).tags == project_full(task).tags == expected
        assert join(task, merge(None, first)) is task


def test_tasks_without_declared_arguments_keep_their_tags() -> None:
    for tags in (None, ("a", "b")):
        task = merge(None, received(tags=tags))
        assert project(task).tags == project_full(task).tags == tags


def test_names_are_cached_and_bounded() -> None:
    many = index()
    for number in range(MAX_CACHED_NAMES + 2):
        many.add_terms([received(f"orders.{number}")])
    [again] = many.add_terms([received("orders.1")])
    assert again.index_terms == ("kwargs.order_id:12345", "args.0:7")


def test_keys_as_they_are_written() -> None:
    assert index().keys == {
        "orders.*": ("kwargs.order_id", "args.0"),
        "mail.send": ("kwargs.to.id",),
    }
    assert parse_index({}) is None


@pytest.mark.parametrize(
    "table",
    [
        [],
        {"a": []},
        {"a": 1},
        {"a": ["order_id"]},
        {"a": ["kwargs"]},
        {"a": ["kwargs."]},
        {"a": ["result.x"]},
        {"a": ["args.0"] * (MAX_PATHS + 1)},
        {f"a{n}": "args.0" for n in range(MAX_RULES + 1)},
    ],
)
def test_a_wrong_table_is_refused(table: object) -> None:
    with pytest.raises(InvalidInput, match=r"\[index\]"):
        parse_index(table)


def test_tags_that_a_value_of_a_query_can_have() -> None:
    def tags(*texts: str) -> tuple[str, ...] | None:
        return list_query_terms(TextTerm(texts, "kwargs", ("k",)))

    assert tags("12") == ("kwargs.k:12",)
    assert tags("aB") == ("kwargs.k:aB", "kwargs.k:ab", "kwargs.k:AB")
    assert tags("1", "2") == ("kwargs.k:1", "kwargs.k:2")
    assert tags("1*") is None
    assert tags("1", "x" * MAX_INDEXED_CHARS) is None
