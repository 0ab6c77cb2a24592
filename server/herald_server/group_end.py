"""Whether a group whose size nobody told can have members that are not known yet.

The group of such a task is known only from its result. So a group is over only if
nothing unfinished can belong to it. That is concluded where the producer sends
`task-sent` events (`task_send_sent_event`), and no event can be missing: then every
member is known as a task, though not as a member.
"""

from __future__ import annotations

from collections.abc import Sequence

from herald_monitor.model import shape
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage, unix
from herald_monitor.store import Gap, MonitorImage, Reader

OPEN = (shape.PENDING, shape.RECEIVED, shape.STARTED, shape.RETRY)
"""States of tasks that have not ended."""

QUIET = 2.0
"""Seconds without a word of any member after which the last events have come."""

MOST_LAG_MS = 1_000
"""Milliseconds that a monitor may be behind."""

BEFORE, AFTER = 10.0, 10.0
"""Seconds between the known members and one that is not known yet, as they are sent:
`group.apply_async` sends them one after another."""

PAGE = 100
MOST_LOOKED_AT = 1_000


async def is_over(
    reader: Reader, members: Sequence[TaskImage], whole: bool, now: float
) -> bool:
    """Return True if nothing unfinished can be a further member of a group.

    `members` have all ended, and are all that are known if `whole`, else the newest.
    Raises `StoreError`.
    """
    sent = [unix(task.submitted_at) for task in members if task.submitted_at]
    if not members or len(sent) < len(members):
        return False
    if max(_last_word(task) for task in members) + QUIET > now:
        return False
    first = min(sent) - BEFORE
    if not _is_heard(await reader.monitors()):
        return False
    if _is_event_missing(await reader.gaps(), first):
        return False
    return not await _is_open(reader, first if whole else None, max(sent) + AFTER)


def _last_word(task: TaskImage) -> float:
    return unix(task.updated_at) if task.updated_at else 0.0


def _is_heard(monitors: Sequence[MonitorImage]) -> bool:
    """Return True if some monitor hears the broker and is not behind."""
    return any(one.connected and one.lag_ms < MOST_LAG_MS for one in monitors)


def _is_event_missing(gaps: Sequence[Gap], since: float) -> bool:
    return any(unix(gap.until) >= since for gap in gaps)


async def _is_open(reader: Reader, since: float | None, until: float) -> bool:
    """Return True if an unfinished task may have been sent with the members."""
    page: str | None = None
    looked = 0
    while looked < MOST_LOOKED_AT:
        got = await reader.page(Filter(state=OPEN), limit=PAGE, page=page, after=since)
        looked, page = looked + len(got.tasks), got.next
        unknown = [task for task in got.tasks if _is_group_unknown(task)]
        if await _any_in_time(reader, unknown, until):
            return True
        if page is None:
            return False
    return True


def _is_group_unknown(task: TaskImage) -> bool:
    # What Herald sent says its group, or has none.
    return task.group_id is None and task.source != "submitted"


async def _any_in_time(
    reader: Reader, tasks: Sequence[TaskImage], until: float
) -> bool:
    """Return True if one of `tasks`, or the task that began its tree, is that old."""
    roots = await reader.tasks([task.root_id or task.id for task in tasks])
    return any(root is None or _began(root) <= until for root in roots)


def _began(task: TaskImage) -> float:
    known = (task.submitted_at, task.received_at, task.started_at)
    return min((unix(at) for at in known if at), default=0.0)
