"""What is suggested for the end of a query text, and which part of it is replaced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.errors import InvalidQuery
from herald_core.model.queries.query_text import parse_query_text
from herald_server.insight.search.suggestions import (
    KEY_HINTS,
    KnownValues,
    list_suggestions,
    parse_last_word,
)

KNOWN = KnownValues(
    names=("orders.charge", "orders.refund", "reports.daily", "old name"),
    workers=("celery@w01", "celery@w02"),
    queues=("celery", "slow"),
    tags=("customer:7",),
    paths=("kwargs.order_id",),
)


def complete(text: str, values: tuple[str, ...] = ()) -> list[str]:
    """Return the query texts that the suggestions for `text` lead to."""
    found = list_suggestions(parse_last_word(text), KNOWN, 10, values)
    return [
        text[: one.replaces[0]] + one.text + text[one.replaces[1] :] for one in found
    ]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", "state:"),
        ("last:10m ", "last:10m state:"),
        ("fai", "failed"),
        ("charge", "name:orders.charge"),
        ("failed -ref", "failed -name:orders.refund"),
        ("name:rep", "name:reports.daily"),
        ('name:"old n', 'name:"old name"'),
        ("task:orders.charge,ref", "task:orders.charge,orders.refund"),
        ("-state:fail", "-state:FAILURE"),
        ("STATUS:lo", "STATUS:LOST"),
        ("worker:w02", "worker:celery@w02"),
        ("queue:", "queue:celery"),
        ("tag:cust", 'tag:"customer:7"'),
        ("kwargs.o", "kwargs.order_id:"),
        ("took:>1", "took:>1s"),
        ("sort:-ru", "sort:-runtime"),
        ("ki", ""),
        ("nokey:x", ""),
    ],
)
def test_the_first_suggestion(text: str, first: str) -> None:
    assert next(iter(complete(text)), "") == first


def test_values_of_an_argument() -> None:
    values = ("12345", "a b", 'no "quote"')
    assert complete("failed kwargs.order_id:1", values) == [
        "failed kwargs.order_id:12345",
        'failed kwargs.order_id:"a b"',
    ]


def test_what_begins_with_the_text_comes_first() -> None:
    known = KnownValues(names=("app.pay", "pay.all"))
    found = list_suggestions(parse_last_word("name:pay"), known, 10)
    assert [one.text for one in found] == ["pay.all", "app.pay"]


def test_a_limit_holds_and_kinds_are_told() -> None:
    found = list_suggestions(parse_last_word("o"), KNOWN, 2)
    assert [(one.kind, one.text) for one in found] == [
        ("name", "name:orders.charge"),
        ("name", "name:orders.refund"),
    ]
    assert list_suggestions(parse_last_word("kwargs"), KNOWN, 1)[0].kind == "argument"


@given(st.text(alphabet='abo.:",- k', max_size=30))
def test_a_suggestion_never_breaks_a_query(text: str) -> None:
    """What was read before a suggestion of a value or a name is read behind it."""
    try:
        parse_query_text(text, 0.0)
    except InvalidQuery:
        return
    for done in complete(text, ("a,b", "c d")):
        if not done.endswith(tuple(KEY_HINTS)) and not done.endswith(":"):
            parse_query_text(done, 0.0)
