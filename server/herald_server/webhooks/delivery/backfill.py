"""After changes were missed: read the matching tasks that changed since."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView
from herald_core.model.vector_cursor import parse_any_cursor
from herald_core.store.ports import TaskReader
from herald_server.webhooks.endpoint import UPDATES, WebhookEndpoint

PAGE_SIZE = 100


async def read_changed_since(
    reader: TaskReader, endpoint: WebhookEndpoint, since: Cursor, end: Cursor
) -> AsyncGenerator[TaskView]:
    """Yield the tasks of `endpoint` that changed after `since`.

    Those that changed after `end` are omitted: the log still contains them. Raises
    `StoreError`.
    """
    if not endpoint.states and UPDATES not in endpoint.on:
        return
    filter_, page = _make_filter(endpoint), None
    while True:
        found = await reader.list_tasks(filter_, limit=PAGE_SIZE, page=page)
        for task in found.tasks:
            if since < parse_any_cursor((task.rev or "0-0").partition(".")[0]) <= end:
                yield task
        page = found.next
        if page is None:
            return


def _make_filter(endpoint: WebhookEndpoint) -> Filter:
    """Return the endpoint's filter, restricted to its states."""
    if UPDATES in endpoint.on:
        return endpoint.filter
    states = endpoint.filter.state or tuple(sorted(endpoint.states))
    both = tuple(state for state in states if state in endpoint.states)
    return msgspec.structs.replace(endpoint.filter, state=both)
