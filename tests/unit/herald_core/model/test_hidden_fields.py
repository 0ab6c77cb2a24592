"""Fields that a token hides, in tasks, attempts, changes, filters and tags."""

import msgspec
import pytest

from herald_core.errors import InvalidFilter
from herald_core.model.changes import TASK, Change
from herald_core.model.codec import to_json
from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter, parse_hidden_fields
from herald_core.model.hidden_fields import hide_fields, hide_in_change
from herald_core.model.tasks.views import AttemptView, TaskView

TASK_VIEW = TaskView(
    id="a",
    state="FAILURE",
    args="(1,)",
    kwargs="{}",
    exception="E('x')",
    traceback="Tr",
    tags=("user:1", "kwargs.order_id:5"),
)
ARGUMENTS = Filter(hide=("args", "kwargs"))


def test_hidden_fields_are_absent_and_others_stay() -> None:
    shown = hide_fields(TASK_VIEW, Filter(hide=("traceback",)))
    assert shown == msgspec.structs.replace(TASK_VIEW, traceback=None)


def test_tags_that_are_made_of_hidden_arguments_are_absent() -> None:
    shown = hide_fields(TASK_VIEW, ARGUMENTS)
    assert (shown.args, shown.kwargs, shown.tags) == (None, None, ("user:1",))
    alone = msgspec.structs.replace(TASK_VIEW, tags=("args.0:1",))
    assert hide_fields(alone, ARGUMENTS).tags is None


def test_a_tag_that_the_token_is_narrowed_to_stays() -> None:
    only = Filter(tag=("kwargs.order_id:5",), hide=("args", "kwargs"))
    assert hide_fields(TASK_VIEW, only).tags == TASK_VIEW.tags


@pytest.mark.parametrize("only", [None, Filter(), Filter(name=("n",))])
def test_without_hidden_fields_a_task_is_the_same(only: Filter | None) -> None:
    assert hide_fields(TASK_VIEW, only) is TASK_VIEW


def test_attempts_have_some_of_the_fields() -> None:
    attempt = AttemptView(attempt=1, state="FAILURE", exception="E", traceback="Tr")
    shown = hide_fields(attempt, Filter(hide=("args", "exception", "traceback")))
    assert (shown.exception, shown.traceback, shown.state) == (None, None, "FAILURE")


def change(task: TaskView | None, *, deleted: bool = False) -> Change:
    json = b"" if deleted else to_json(task)
    return Change(TASK, "a", "1-1.0", (Cursor(1, 1), 0), json, task)


def test_images_of_changes_hide_them_too() -> None:
    shown = hide_in_change(change(TASK_VIEW), ARGUMENTS)
    assert shown.task == hide_fields(TASK_VIEW, ARGUMENTS)
    assert msgspec.json.decode(shown.json) == {
        **{"id": "a", "state": "FAILURE", "exception": "E('x')"},
        **{"traceback": "Tr", "tags": ["user:1"]},
    }


def test_a_change_without_tags_or_image_stays_whole() -> None:
    bare = msgspec.structs.replace(TASK_VIEW, tags=None)
    assert b"tags" not in hide_in_change(change(bare), ARGUMENTS).json
    assert hide_in_change(change(bare, deleted=True), ARGUMENTS).json == b""
    other = change(None)
    assert hide_in_change(other, ARGUMENTS) is other
    assert hide_in_change(change(bare), Filter()) == change(bare)


def test_what_a_token_hides_cannot_be_asked_for_by_a_tag() -> None:
    wanted = Filter(tag=("kwargs.order_id:5", "user:1"))
    assert wanted.intersect(ARGUMENTS).tag == ("user:1",)
    assert Filter(tag=("kwargs.order_id:5",)).intersect(ARGUMENTS).is_empty
    assert wanted.intersect(Filter(hide=("result",))).tag == wanted.tag


def test_filters_that_must_match_too_hide_as_well() -> None:
    parent = Filter(hide=("result",), tag=("user:1",))
    child = Filter(name=("n",), hide=("traceback",)).intersect(parent)
    assert child.hidden_fields == {"result", "traceback"}
    assert child.own_tags == {"user:1"}
    assert Filter(ids=("a",)).intersect(child).hidden_fields == child.hidden_fields


def test_arguments_are_hidden_together() -> None:
    """A call of which one is absent would look like one that has only the other."""
    assert parse_hidden_fields(["kwargs"]) == ("args", "kwargs")
    assert parse_hidden_fields("traceback") == ("traceback",)


@pytest.mark.parametrize("given", [[], ["name"], 5, None, [["args"]], {"args": 1}])
def test_only_some_fields_can_be_hidden(given: object) -> None:
    with pytest.raises(InvalidFilter, match="hide must be a list of args, kwargs"):
        parse_hidden_fields(given)
