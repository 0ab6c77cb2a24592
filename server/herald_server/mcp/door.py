"""The MCP server: what it is called, what it offers, how it runs."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.http import StarletteWithLifespan, StreamableHTTPASGIApp
from mcp.server.request_state import RequestStateSecurity
from mcp.server.streamable_http import StreamableHTTPServerTransport

from herald_server.catalog import Catalog
from herald_server.consent import ASKED_FOR
from herald_server.control import Control
from herald_server.durations import Durations
from herald_server.mcp.completing import Completing
from herald_server.mcp.confirming import TicketCodec
from herald_server.mcp.events import Events
from herald_server.mcp.listen import Listening
from herald_server.mcp.menu import Menu
from herald_server.mcp.prompts import Prompts
from herald_server.mcp.resources import Resources
from herald_server.mcp.results import Results, ToldResults
from herald_server.mcp.sentences import Sentences
from herald_server.mcp.stale_answers import StaleAnswers
from herald_server.mcp.subscribing import Subscribing
from herald_server.mcp.tasks import Tasks
from herald_server.mcp.tools import Tools
from herald_server.mcp.tools_around import Around
from herald_server.mcp.tools_changes import Watching
from herald_server.mcp.tools_groups import Groups
from herald_server.mcp.tools_history import History
from herald_server.mcp.tools_queues import Queues
from herald_server.mcp.tools_webhooks import WebhookTools
from herald_server.mcp.tools_why import Mending
from herald_server.mcp.wait import Waiting
from herald_server.state import Shared
from herald_server.webhooks.address import Guard
from herald_server.webhooks.desk import Desk

INSTRUCTIONS = (
    "Herald starts and follows long-running Celery tasks. Start one with "
    "start_background_task, then call wait_for_task with its task_id: it answers the "
    "moment the task ends, so there is no need to ask again and again. Task types and "
    "their parameters are in the resource catalog://task-types. The resources "
    "task://TASK_ID, group://GROUP_ID, worker://NAME, tasks://active, tasks://failed "
    "and herald://health can be subscribed to."
)


class _NoState:
    """Keeps nothing of a session. FastMCP's own store is imported at the first listing
    of tools, which takes 0.2 s in which nobody is served, and 8 MB."""

    async def get(self, *, key: str) -> None:
        """Return nothing for any `key`."""


NO_STATE = _NoState()


class AgentDoor(FastMCP[Any]):
    """The MCP server over what the doors share."""

    def __init__(self, shared: Shared, results: Results, catalog: Catalog) -> None:
        super().__init__(
            "herald",
            version=version("celery-herald"),
            instructions=INSTRUCTIONS,
            middleware=[
                Sentences(),
                StaleAnswers(shared.status.staleness),
                Menu(catalog),
            ],
            mask_error_details=True,
            request_state_security=_seal(shared.control),
            # "30" for a number of seconds is understood, as models write it.
            strict_input_validation=False,
        )
        self._apps: list[StarletteWithLifespan] = []
        # No parameter of ours travels in a header; without this all tools are
        # listed for each call to see so, which was half of what a call costs.
        self._mcp_server.get_tool_input_schema = _no_schema
        store, hub, control = shared.store, shared.hub, shared.control
        status = shared.status
        tasks = Tasks(store, control, catalog, results, kept=shared.kept)
        self.events = Events(store, hub)
        self.listening = Listening(hub, status, tasks)
        durations = control.durations if control else Durations(store)
        self.durations = durations
        self.waiting = Waiting(hub, store, catalog, results, durations)
        self.watching = Watching(shared)
        self.add_extension(tasks)
        self.add_extension(self.events)
        Tools(store, control, catalog, results, durations).register(self)
        History(store, catalog, shared.minutes).register(self)
        Groups(shared.groups, control, catalog).register(self)
        Mending(store, control, durations).register(self)
        Around(shared, catalog, durations).register(self)
        Queues(store).register(self)
        WebhookTools(shared.desk or Desk(store, Guard())).register(self)
        Resources(shared, catalog).register(self)
        Prompts(shared, catalog).register(self)
        Completing(store, catalog).register(self)
        Subscribing(hub, status).register(self)
        self.listening.register(self)
        self.waiting.register(self)
        self.watching.register(self)

    @property
    def _state_store(self) -> Any:
        """The state of sessions, of which Herald keeps none."""
        return NO_STATE

    def http_app(self, *args: Any, **options: Any) -> StarletteWithLifespan:
        """Return the ASGI application; `release` ends its sessions too."""
        made = super().http_app(*args, **options)
        self._apps.append(made)
        return made

    async def release(self) -> None:
        """End all long answers, for a server that is about to stop.

        Streams end on purpose, waiting calls say that the task still runs.
        """
        self.listening.close()
        self.events.close()
        self.waiting.close()
        self.watching.close()
        for session in self.sessions().values():
            await session.terminate()

    def sessions(self) -> dict[str, StreamableHTTPServerTransport]:
        """Return the open sessions of clients of the older protocol, by id."""
        found: dict[str, StreamableHTTPServerTransport] = {}
        for route in (route for made in self._apps for route in made.routes):
            endpoint = getattr(route, "endpoint", None)
            if isinstance(endpoint, StreamableHTTPASGIApp) and endpoint.session_manager:
                # FastMCP ends them like this as well, but after the streams.
                sessions = endpoint.session_manager._server_instances  # pyright: ignore[reportPrivateUsage]
                found |= sessions
        return found


def _seal(control: Control | None) -> RequestStateSecurity | None:
    """Return how questions are sealed that a client carries to another process."""
    if control is None:
        return None
    codec = TicketCodec(control.consents)
    # A ticket names the caller itself.
    return RequestStateSecurity(
        codec=codec, ttl=ASKED_FOR, bind_principal=None, audience="herald"
    )


def _no_schema(name: str) -> None:
    """Have no parameter of the tool `name` looked for in headers."""


def build_mcp(
    shared: Shared, results: Results | None = None, catalog: Catalog | None = None
) -> AgentDoor:
    """Return the MCP server over what the doors share.

    `results` tells what tasks returned; without it, only what events told.
    `catalog` names task types instead of what is shared.
    """
    _log_plainly()
    if shared.control is not None or catalog is None:
        catalog = shared.catalog
    return AgentDoor(shared, results or ToldResults(), catalog)


def _log_plainly() -> None:
    # FastMCP draws its own log; ours is one, in lines, where the user wants it.
    log = logging.getLogger("fastmcp")
    log.handlers.clear()
    log.propagate = True
    log.setLevel(logging.WARNING)
