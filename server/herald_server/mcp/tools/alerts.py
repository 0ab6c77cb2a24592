"""The tool `list_alerts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastmcp import FastMCP
from pydantic import Field

from herald_core.model.alerts.alert import FIRING
from herald_server.alerts.book import AlertBook
from herald_server.mcp.answers.pages import DEFAULT_ROWS, cut_page
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.alerts import AlertState, ListedAlerts
from herald_server.mcp.parameters import Limit, NextPage, add_read_tool

MAX_NAMED = 5


class AlertTools:
    """The tool `list_alerts`."""

    def __init__(self, alerts: AlertBook) -> None:
        self._alerts = alerts

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tool to `mcp`."""
        add_read_tool(mcp, self.list_alerts, "List alerts")

    async def list_alerts(
        self,
        state: Annotated[
            Literal["firing", "resolved"] | None,
            Field(description="Only alerts in this state; leave out for both"),
        ] = "firing",
        limit: Limit = DEFAULT_ROWS,
        page: NextPage = None,
    ) -> ListedAlerts:
        """List what is wrong now: queues, workers, tasks, schedules, Herald itself.

        Use it first when asked whether everything is in order.
        """
        with convert_to_tool_error():
            require_scope("read", "list_alerts")
            found = (await self._alerts.read_all())["alerts"]
            chosen = [one for one in found if state in (None, one["state"])]
            shown, next_page = cut_page(chosen, limit, page)
        firing = [one for one in found if one["state"] == FIRING]
        return ListedAlerts(
            firing=len(firing),
            total=len(chosen),
            alerts=[AlertState(**one) for one in shown],
            next=next_page,
            message=describe_alerts(firing),
        )


def describe_alerts(firing: Sequence[Mapping[str, Any]]) -> str:
    """Return a message about the alerts that fire. Pure."""
    if not firing:
        return "No alert fires."
    named = [f"{one['title']}: {one.get('message', '')}" for one in firing[:MAX_NAMED]]
    more = len(firing) - MAX_NAMED
    return " ".join([*named, f"{more} more fire."] if more > 0 else named)
