"""Which queries the declared keys answer, and how a walk goes through their parts."""

import pytest

from herald_core.model.queries.query_text import parse_query_text
from herald_server.insight.search.index_plan import find_indexed_part, split_query
from herald_server.insight.search.search_walk import SearchWalk

TIMES = {
    ("orders.*", "kwargs.order_id"): 100.0,
    ("mail.send", "kwargs.order_id"): 300.0,
    ("*", "args.0"): 50.0,
}


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("kwargs.order_id:1 orders.*", 100.0),
        ("kwargs.order_id:1 orders.pay*", 100.0),
        ("kwargs.order_id:1 name:orders.pay", 100.0),
        ("kwargs.order_id:1 name:orders.pay,mail.send", 300.0),
        ("kwargs.order_id:1 name:orders.pay,other.x", None),
        ("kwargs.order_id:1 *", None),
        ("kwargs.order_id:1", None),
        ("kwargs.order_id:1* orders.*", None),
        ("args.0:7", 50.0),
        ("args.0:7 anything.*", 50.0),
        ("args.1:7", None),
        ("args:7", None),
    ],
)
def test_index_answers_where_it_is_declared_for_all_names(
    text: str, since: float | None
) -> None:
    found = find_indexed_part(parse_query_text(text, 0.0), TIMES)
    assert (found and found.since) == since


def test_a_query_is_split_at_the_time_of_the_declaration() -> None:
    query = parse_query_text("args.0:7 failed", 0.0)
    part = find_indexed_part(query, TIMES)
    assert part is not None
    indexed, scanned = split_query(query, part)
    assert (indexed.filter.tag, indexed.after, indexed.before) == (
        ("args.0:7",), 50.0, None,
    )  # fmt: skip
    assert indexed.filter.state == scanned.filter.state == ("FAILURE",)
    assert (scanned.filter.tag, scanned.after, scanned.before) == (None, None, 50.0)
    assert indexed.terms == scanned.terms == query.terms


def test_a_walk_goes_through_all_parts() -> None:
    query = parse_query_text("args.0:7", 0.0)
    parts = [parse_query_text("a", 0.0), parse_query_text("b", 0.0)]
    walk = SearchWalk(query, parts, None)
    assert walk.position == (parts[0], None)
    walk.advance("x")
    assert walk.make_token() == "0.x"
    walk = SearchWalk(query, parts, "0.x")
    assert walk.position == (parts[0], "x")
    walk.advance(None)
    assert walk.make_token() == "1."
    walk = SearchWalk(query, parts, "1.")
    assert walk.position == (parts[1], None)
    walk.advance(None)
    assert walk.is_over
    assert walk.make_token() is None


def test_a_walk_goes_on_if_an_index_comes_or_goes() -> None:
    query = parse_query_text("args.0:7", 0.0)
    parts = [parse_query_text("a", 0.0), parse_query_text("b", 0.0)]
    assert SearchWalk(query, parts, "token").position == (query, "token")
    assert SearchWalk(query, [query], "0.token").position == (query, "token")
    walk = SearchWalk(query, [query], None)
    walk.advance("next")
    assert walk.make_token() == "next"
