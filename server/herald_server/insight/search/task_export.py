"""Export of the tasks of a query as a stream of constant memory."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence

from herald_core.errors import HeraldError
from herald_core.model.queries.task_query import TaskQuery
from herald_server.auth.audit import AuditLog
from herald_server.insight.search.export_rows import ExportSummary, ExportWriter
from herald_server.insight.search.task_search import TaskSearch

MAX_EXPORTED = 1_000_000
"""Tasks of one export."""


class TaskExport:
    """Exports tasks, as the caller may see them, and records that in the audit log."""

    def __init__(self, search: TaskSearch, audit: AuditLog) -> None:
        self._search = search
        self._audit = audit

    async def stream(
        self,
        query: TaskQuery,
        format_: str,
        columns: Sequence[str],
        limit: int = MAX_EXPORTED,
    ) -> AsyncGenerator[bytes]:
        """Yield the export in pieces, newest tasks first.

        The next piece is read once the last was taken. An error of the store after the
        first piece ends the export with a trailer that says so.
        """
        writer = ExportWriter(format_, columns, time.time())
        exported = searched = 0
        reason, ended = "", False
        steps = self._search.iter_steps(query, limit=min(limit, MAX_EXPORTED))
        await self._audit.record("export", format_, outcome="started")
        try:
            yield writer.begin()
            async for step in steps:
                exported, searched = exported + len(step.tasks), step.searched
                ended = step.next is None
                if step.tasks:
                    yield writer.format_tasks(step.tasks)
            if not ended:
                reason = (
                    f"not whole: ended after {exported} tasks; narrow the query, for "
                    "example with before= the time of the last row"
                )
        except HeraldError as error:
            reason = f"not whole: {error}"
        finally:
            await steps.aclose()
        yield writer.end(ExportSummary(exported, searched, ended, reason))
