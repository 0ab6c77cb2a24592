"""How many MCP sessions one token may have open."""

from collections.abc import Callable, Mapping
from functools import partial

import httpx2
import pytest

from herald_server.mcp.http import session_quota
from herald_server.mcp.http.session_quota import SessionQuota
from tests.support.clients.http import asking, refused
from tests.support.clients.mcp_json import INITIALIZE
from tests.support.clients.route_requests import minted
from tests.support.herald.server import let_in, serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


async def opened(ask: httpx2.AsyncClient) -> httpx2.Response:
    return await ask.post("/mcp", json=INITIALIZE)


async def test_a_token_and_those_made_from_it_have_so_many_sessions(
    module_valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        session_quota, "SessionQuota", partial(SessionQuota, max_sessions=3)
    )
    async with serving(module_valkey.url) as server:
        let_in(server, "another-token")
        made = {"Authorization": f"Bearer {minted(server)}"}
        other = {"Authorization": "Bearer another-token"}
        async with (
            asking(server) as ask,
            asking(server, made) as ask_made,
            asking(server, other) as ask_other,
        ):
            first = await opened(ask)
            answers = [first, await opened(ask), await opened(ask_made)]
            assert [answer.status_code for answer in answers] == [200, 200, 200]
            refused(await opened(ask), 429, "end some with DELETE")
            refused(await opened(ask_made), 429, "sessions open")
            assert (await opened(ask_other)).status_code == 200
            session = {"mcp-session-id": first.headers["mcp-session-id"]}
            assert (await ask.delete("/mcp", headers=session)).status_code == 200
            assert (await opened(ask)).status_code == 200
            refused(await opened(ask), 429, "sessions open")
            assert server.app.state.shared.metrics.refusals["sessions"] == 3


async def test_a_session_that_is_never_used_ends_soon_and_one_that_is_does_not(
    module_valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_quota, "MAX_UNUSED_S", 2.0)
    async with serving(module_valkey.url) as server, asking(server) as ask:
        sessions = server.app.state.mcp.list_sessions
        used, unused = [(await opened(ask)).headers["mcp-session-id"] for _ in range(2)]
        answer = await ask.post(
            "/mcp", json=INITIALIZED, headers={"mcp-session-id": used}
        )
        assert answer.status_code == 202
        await wait_until_async(
            lambda: gone(sessions, unused), 30, "the unused one ended"
        )
        assert used in sessions()
        answer = await ask.post(
            "/mcp", json=INITIALIZED, headers={"mcp-session-id": unused}
        )
        assert answer.status_code == 404


async def gone(sessions: Callable[[], Mapping[str, object]], id_: str) -> bool:
    return id_ not in sessions()
