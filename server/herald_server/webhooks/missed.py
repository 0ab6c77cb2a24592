"""After changes were missed: what matches and changed since, as it is now."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.vector import parse_any_cursor
from herald_monitor.store import Reader
from herald_server.webhooks.endpoint import UPDATES, Endpoint

PAGE = 100


async def changed_since(
    reader: Reader, endpoint: Endpoint, since: Cursor, end: Cursor
) -> AsyncGenerator[TaskImage]:
    """Yield the tasks that `endpoint` is told of and that changed behind `since`.

    What changed behind `end` is left out: the log still tells it. Raises
    `StoreError`.
    """
    filter_, page = _told(endpoint), None
    while True:
        found = await reader.page(filter_, limit=PAGE, page=page)
        for task in found.tasks:
            if since < parse_any_cursor((task.rev or "0-0").partition(".")[0]) <= end:
                yield task
        page = found.next
        if page is None:
            return


def _told(endpoint: Endpoint) -> Filter:
    """Return the endpoint's filter, narrowed to the states that it is told of."""
    if UPDATES in endpoint.on:
        return endpoint.filter
    asked = endpoint.filter.state or tuple(sorted(endpoint.states))
    both = tuple(state for state in asked if state in endpoint.states)
    return msgspec.structs.replace(endpoint.filter, state=both)
