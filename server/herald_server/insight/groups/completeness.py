"""Decide whether a group of unknown size can have members that are not known yet.

The group of such a task is known only from its result. A group is over only if no
unfinished task can belong to it. That can be concluded where the producer sends
`task-sent` events (`task_send_sent_event`) and no event can be missing: then every
member is known as a task, though not as a member.
"""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.model.filters import Filter
from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.store.ports import TaskReader

OPEN_STATES = (views.PENDING, views.RECEIVED, views.STARTED, views.RETRY)
"""States of tasks that have not ended."""

QUIET_S = 2.0
"""Seconds without an event of any member after which no further one is expected."""

MAX_LAG_MS = 1_000
"""Milliseconds that a monitor may be behind."""

BEFORE_S, AFTER_S = 10.0, 10.0
"""Seconds between the known members and one that is not known yet, as they are sent:
`group.apply_async` sends them one after another."""

PAGE_SIZE = 100
MAX_TASKS_READ = 1_000


async def is_group_over(
    reader: TaskReader, members: Sequence[TaskView], whole: bool, now: float
) -> bool:
    """Return True if no unfinished task can be a further member of a group.

    `members` have all ended; they are all known ones if `whole`, else the newest.
    Raises `StoreError`.
    """
    sent = [from_rfc3339(task.submitted_at) for task in members if task.submitted_at]
    if not members or len(sent) < len(members):
        return False
    if max(_get_last_event_time(task) for task in members) + QUIET_S > now:
        return False
    first = min(sent) - BEFORE_S
    if not _is_monitored(await reader.list_monitors()):
        return False
    if _is_event_missing(await reader.list_gaps(), first):
        return False
    return not await _is_open(reader, first if whole else None, max(sent) + AFTER_S)


def _get_last_event_time(task: TaskView) -> float:
    return from_rfc3339(task.updated_at) if task.updated_at else 0.0


def _is_monitored(monitors: Sequence[MonitorView]) -> bool:
    """Return True if a monitor is connected to the broker and up to date."""
    return any(one.connected and one.lag_ms < MAX_LAG_MS for one in monitors)


def _is_event_missing(gaps: Sequence[Gap], since: float) -> bool:
    return any(from_rfc3339(gap.until) >= since for gap in gaps)


async def _is_open(reader: TaskReader, since: float | None, until: float) -> bool:
    """Return True if an unfinished task may have been sent with the members."""
    page: str | None = None
    looked = 0
    while looked < MAX_TASKS_READ:
        got = await reader.list_tasks(
            Filter(state=OPEN_STATES), limit=PAGE_SIZE, page=page, after=since
        )
        looked, page = looked + len(got.tasks), got.next
        unknown = [task for task in got.tasks if _is_group_unknown(task)]
        if await _has_member_in_time(reader, unknown, until):
            return True
        if page is None:
            return False
    return True


def _is_group_unknown(task: TaskView) -> bool:
    # A task that Herald sent names its group, or has none.
    return task.group_id is None and task.source != "submitted"


async def _has_member_in_time(
    reader: TaskReader, tasks: Sequence[TaskView], until: float
) -> bool:
    """Return True if one of `tasks`, or the root of its tree, started by `until`."""
    roots = await reader.get_tasks([task.root_id or task.id for task in tasks])
    return any(root is None or _get_start_time(root) <= until for root in roots)


def _get_start_time(task: TaskView) -> float:
    known = (task.submitted_at, task.received_at, task.started_at)
    return min((from_rfc3339(at) for at in known if at), default=0.0)
