"""The members of groups in trees of results, as Celery stores them."""

from typing import Any, cast

import pytest
from celery import Celery
from celery.result import AsyncResult, GroupResult
from hypothesis import given
from hypothesis import strategies as st

from herald_monitor.celery_client.backend.group_results import (
    find_child_size,
    find_size_in_trees,
    get_saved_size,
)

app = Celery("none", set_as_current=False)


def of_group(id_: str, members: int, parent: Any = None) -> Any:
    """Return a group as Celery stores it."""
    results = [
        cast(Any, AsyncResult)(f"{id_}-{n}", parent=parent, app=app)
        for n in range(members)
    ]
    return cast(Any, GroupResult)(id_, results, parent=parent, app=app).as_tuple()


def test_a_saved_group_tells_its_members() -> None:
    assert get_saved_size({"result": of_group("g", 3)}, "g") == 3
    assert get_saved_size({"result": of_group("g", 3)}, "other") is None


def test_a_parent_tells_the_group_among_its_children() -> None:
    single = cast(Any, AsyncResult)("t", app=app).as_tuple()
    children = [single, of_group("g", 5), of_group("h", 2)]
    assert find_child_size({"children": children}, "h") == 2


def test_the_header_of_a_chord_is_the_parent_of_its_body() -> None:
    header = cast(Any, GroupResult)(
        "g", [cast(Any, AsyncResult)(f"m{n}", app=app) for n in range(4)], app=app
    )
    body = cast(Any, AsyncResult)("body", parent=header, app=app).as_tuple()
    assert find_child_size({"children": [body]}, "g") == 4


@pytest.mark.parametrize("meta", [{}, {"result": None}, {"result": 7, "children": 1}])
def test_what_tells_no_group_has_no_size(meta: dict[str, object]) -> None:
    assert get_saved_size(meta, "g") is None
    assert find_child_size(meta, "g") is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=30,
    )
)
def test_any_tree_can_be_looked_through(tree: object) -> None:
    size = find_size_in_trees([tree], "g")
    assert size is None or size >= 0
