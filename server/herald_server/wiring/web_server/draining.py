"""Stop a server process so that each of its clients gets an answer.

Waiting requests are answered first, and what their clients ask then. Where other
processes share the port, no connection is accepted before that, so that whoever
connects reaches one of them.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Iterable

import uvicorn
from starlette.datastructures import State

from herald_server.wiring.web_server.http import GuardedHttpProtocol

RECONNECT_SPREAD_S = 3.0
"""Seconds over which clients reconnect after a restart."""

MAX_ACCEPT_ROUNDS = 100
"""Rounds of the event loop in which connections are accepted before the last."""


async def drain(
    server: uvicorn.Server,
    bound: socket.socket,
    states: Iterable[State],
    *,
    is_shared: bool,
) -> None:
    """Answer all waiting clients of `server`, which listens on `bound`.

    `states` are those of its applications; other processes listen on `bound` too if it
    `is_shared`.
    """
    if is_shared:
        await _stop_listening(server, bound)
        _close_after_response(server)
    await asyncio.gather(*map(_answer_clients, states), return_exceptions=True)


async def _stop_listening(server: uvicorn.Server, bound: socket.socket) -> None:
    # The kernel resets connections that wait to be accepted when their socket closes.
    for _ in range(MAX_ACCEPT_ROUNDS):
        if bound.fileno() < 0 or not select.select([bound], [], [], 0)[0]:
            break
        await asyncio.sleep(0)
    for one in server.servers:
        one.close()


def _close_after_response(server: uvicorn.Server) -> None:
    """Close HTTP connections once they have no request that waits for its response.

    Otherwise a client that waits again would ask this process again.
    """
    for connection in list(server.server_state.connections):
        if isinstance(connection, GuardedHttpProtocol):
            connection.shutdown()


async def _answer_clients(state: State) -> None:
    """Answer waiting requests, and ask connected clients to reconnect."""
    state.shared.waiter.close()
    await asyncio.gather(
        state.sockets.announce_restart(RECONNECT_SPREAD_S),
        state.streams.announce_restart(RECONNECT_SPREAD_S),
        state.mcp.shutdown(),
    )
