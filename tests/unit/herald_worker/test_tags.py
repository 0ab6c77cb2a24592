"""Tags: tasks that are sent in a block carry the names that the block gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from celery import Celery

import herald_worker
from herald_worker.tags import MAX_TAGS, merge_tags


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("tags", broker="memory://", set_as_current=False)
    yield app
    cast(Any, app).close()


def send(app: Celery, **options: Any) -> object:
    """Send a task; return the tags of its message."""
    cast(Any, app).send_task("any", queue="tags", **options)
    with cast(Any, app).connection_for_write() as connection:
        message = connection.SimpleQueue("tags").get(timeout=30)
        message.ack()
    return message.headers.get("herald_tags")


def test_a_block_gives_its_tags_to_what_is_sent_in_it(app: Celery) -> None:
    with herald_worker.tags("user:42", "import"):
        assert send(app) == ["user:42", "import"]
    assert send(app) is None


def test_blocks_add_up_and_each_tag_is_told_once(app: Celery) -> None:
    with herald_worker.tags("a"), herald_worker.tags("b", "a"):
        assert send(app) == ["a", "b"]


def test_tags_can_be_given_as_a_header(app: Celery) -> None:
    assert send(app, headers={"herald_tags": ["c"]}) == ["c"]
    with herald_worker.tags("a"):
        assert send(app, headers={"herald_tags": ["c"]}) == ["c", "a"]


def test_a_block_that_fails_ends_its_tags(app: Celery) -> None:
    with pytest.raises(ValueError, match="no"), herald_worker.tags("a"):
        raise ValueError("no")
    assert send(app) is None


def test_what_is_no_tag_is_left_out() -> None:
    assert merge_tags("one", None, ["a", 1, "", "x" * 201], {"b": 1}) == ("one", "a")
    assert len(merge_tags([str(n) for n in range(100)])) == MAX_TAGS
