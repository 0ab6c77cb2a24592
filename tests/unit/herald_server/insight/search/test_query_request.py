"""What a text, a filter and limits select together."""

import pytest

from herald_core.errors import InvalidInput
from herald_core.model.filters import Filter
from herald_core.model.queries.task_query import Sort, TaskQuery
from herald_core.model.tasks.views import TaskView
from herald_server.insight.search.query_request import make_query

NOW = 1_800_000_000.0


def test_text_and_filter_must_both_match() -> None:
    query = make_query("name:a.* failed", Filter(name=("*.x",)), now=NOW)
    names = [
        name
        for name in ("a.x", "a.y", "b.x")
        if query.matches(TaskView(id="1", name=name, state="FAILURE"), NOW)
    ]
    assert names == ["a.x"]


def test_filter_alone() -> None:
    assert make_query(None, Filter(tag=("t",)), now=NOW) == TaskQuery(
        filter=Filter(tag=("t",))
    )


def test_narrower_limits_count() -> None:
    query = make_query(
        "last:10m until:1m", Filter(), now=NOW, after=NOW - 300, before=NOW
    )
    assert (query.after, query.before) == (NOW - 300, NOW - 60)


def test_order_of_the_request_takes_precedence() -> None:
    query = make_query("sort:wait", Filter(), now=NOW, sort="-runtime")
    assert query.sort == Sort("runtime")
    assert make_query("sort:-wait", Filter(), now=NOW).sort == Sort("wait")


def test_times_are_in_the_zone_that_is_named() -> None:
    noon, eleven = "since:2026-01-31T12:00", "since:2026-01-31T11:00"
    berlin = make_query(noon, Filter(), now=NOW, zone="Europe/Berlin")
    assert berlin.after == make_query(eleven, Filter(), now=NOW).after
    for zone in ("Nowhere/City", "../etc/passwd"):
        with pytest.raises(InvalidInput, match="unknown time zone"):
            make_query("", Filter(), now=NOW, zone=zone)
