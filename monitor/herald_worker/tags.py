"""`tags`: names under which tasks are found again, whoever starts them.

    with herald_worker.tags("user:42"):
        report.delay()

The tags travel as the header `herald_tags` of the task's message. Without the helper:
`report.apply_async(headers={"herald_tags": ["user:42"]})`. A task that runs in a worker
with the outbox hands its tags on to the tasks that it sends: otherwise only the first
task of a chain would have them, and the body of a chord none.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, cast

logger = logging.getLogger(__name__)

HEADER = "herald_tags"
"""The header of a task's message that holds its tags, a list of strings."""

MAX_TAGS = 20
MAX_TAG_CHARACTERS = 64
"""The same as where Herald starts tasks itself."""

_current: ContextVar[tuple[str, ...]] = ContextVar("herald_tags", default=())


@contextmanager
def tags(*names: str) -> Generator[None]:
    """Give the tags `names` to all tasks sent in the block, besides those around it."""
    connect_tags()
    token = _current.set(merge_tags(_current.get(), names))
    try:
        yield
    finally:
        _current.reset(token)


@cache
def connect_tags() -> None:
    """Let all tasks that are sent carry their tags, once a process."""
    from celery import signals

    signals.before_task_publish.connect(_add_tags, weak=False)


def _add_tags(headers: Any = None, **_: Any) -> None:
    try:
        found = merge_tags(headers.get(HEADER), _current.get(), _read_running_tags())
        if found:
            headers[HEADER] = list(found)
    except Exception as error:
        # A task is sent whatever its headers are.
        logger.debug("Tags are not added: %s", error)


def _read_running_tags() -> object:
    """Return the tags of the task that runs in this thread, if one does."""
    from celery import current_task

    task = cast(Any, current_task)
    # The proxy is false outside of a task.
    return getattr(task.request, HEADER, None) if task else None


def merge_tags(*groups: object) -> tuple[str, ...]:
    """Return the tags of all groups, each once, in their order.

    What is no printable text, or too long, is left out; of too many the first are kept.
    """
    found = dict.fromkeys(tag for group in groups for tag in _read_tags(group))
    return tuple(found)[:MAX_TAGS]


def read_header_tags(headers: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tags that a message's headers hold."""
    return merge_tags(headers.get(HEADER))


def _read_tags(group: object) -> Iterable[str]:
    if isinstance(group, str):
        group = (group,)
    if not isinstance(group, list | tuple | set | frozenset):
        return ()
    return (
        tag
        for tag in cast(Iterable[object], group)
        if isinstance(tag, str)
        and 0 < len(tag) <= MAX_TAG_CHARACTERS
        and tag.isprintable()
    )
