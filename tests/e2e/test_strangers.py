"""Who must not come in does not: every kind of them, at every door there is.

Doors are enumerated from the app. A new route is tried from its first day.
"""

import re
import time
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from herald_server.api.http.auth_middleware import PROBE_PATHS
from herald_server.push.connection.sender import Timeouts
from tests.support.celery.project import make_app
from tests.support.clients.route_requests import (
    OTHER,
    Visitor,
    gap_of,
    minted,
    sockets,
    tries,
)
from tests.support.herald.memory_server import worker_of
from tests.support.herald.server import Server, serving
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

TASK = "task-of-others"
MARKS = (TASK, "payroll.run", "celery@secret-host", "secret-queue", "hidden-word")
"""What an answer about the task would hold."""

UNNAMED = 401
SCOPE_NEEDED = 403


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    """Where the store is."""
    return module_valkey.url


async def _revoked(server: Server) -> Visitor:
    token = minted(server)
    await server.app.state.authenticator.revocations.add("0123456789abcdef", 60.0)
    return Visitor(server, token)


async def _child_of_revoked(server: Server) -> Visitor:
    token = minted(server, id="fedcba9876543210", issuers=("0123456789abcdef",))
    await server.app.state.authenticator.revocations.add("0123456789abcdef", 60.0)
    return Visitor(server, token)


async def _is(visitor: Visitor) -> Visitor:
    return visitor


Comes = Callable[[Server], Awaitable[Visitor]]

INTRUDERS: dict[str, tuple[Comes, int, int]] = {
    "a stranger": (lambda s: _is(Visitor(s, None)), UNNAMED, 4408),
    "a wrong token": (lambda s: _is(Visitor(s, "wrong")), UNNAMED, 4401),
    "an expired token": (
        lambda s: _is(Visitor(s, minted(s, expires=time.time() - 1))),
        UNNAMED,
        4401,
    ),
    "a revoked token": (_revoked, UNNAMED, 4401),
    "made from a revoked token": (_child_of_revoked, UNNAMED, 4401),
    "a foreign origin": (
        lambda s: _is(Visitor(s, headers={"Origin": "https://evil.example"})),
        403,
        403,
    ),
    "a rebinding host": (
        lambda s: _is(Visitor(s, headers={"Host": "evil.example"})),
        421,
        421,
    ),
}
"""Who comes, and with which status and close code each is refused."""


@pytest.mark.parametrize("who", INTRUDERS)
async def test_an_intruder_is_refused_at_every_door(url: str, who: str) -> None:
    comes, status, code = INTRUDERS[who]
    patience = Timeouts(auth=0.1)
    async with (
        serving(url, patience=patience) as server,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        await _fill(server)
        visitor = await comes(server)
        asked = 0
        for one in tries(server.app, TASK):
            if one.open and status == UNNAMED:
                continue
            if status == 421 and one.path in PROBE_PATHS:
                # Machines reach these by whatever name their cluster has.
                continue
            answered, text = await visitor.ask(http, one)
            assert answered == status, (one, text)
            assert not _marks(text)
            asked += 1
        assert asked > 30
        for path in sockets(server.app):
            assert await visitor.knock(path) == code


async def test_a_token_without_a_scope_is_refused_at_every_door(url: str) -> None:
    async with serving(url) as server, httpx2.AsyncClient(trust_env=False) as http:
        await _fill(server)
        nothing = Visitor(server, minted(server, scopes=frozenset()))
        only_read = Visitor(server, minted(server, scopes=frozenset(["read"])))
        for one in tries(server.app, TASK):
            if one.open or one.path == "/mcp":
                continue
            answered, text = await nothing.ask(http, one)
            assert answered == SCOPE_NEEDED, (one, text)
            orders = one.method not in ("GET", "HEAD")
            if orders and not one.path.startswith("/api/v1/tokens"):
                answered, text = await only_read.ask(http, one)
                assert answered == SCOPE_NEEDED, (one, text)
        assert await nothing.knock("/ws") == 4403
        for scope in ("start", "cancel", "admin"):
            other = Visitor(server, minted(server, scopes=frozenset([scope])))
            assert await other.knock("/ws") == 4403


async def test_to_a_token_for_another_task_it_does_not_exist(url: str) -> None:
    """All scopes, but for one other task: what is hidden is as if it were not."""
    app = make_app(url, url)
    async with (
        serving(url, celery=app) as server,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        await _fill(server)
        visitor = Visitor(server, minted(server, task_filter=OTHER))
        owner = Visitor(server)
        told = [await owner.ask(http, one) for one in tries(server.app, TASK)]
        assert sum(len(_marks(text)) == len(MARKS) - 1 for _, text in told) >= 3
        nobody = "no-such-task-0"
        assert len(nobody) == len(TASK)
        for real, made_up in zip(
            tries(server.app, TASK), tries(server.app, nobody), strict=True
        ):
            if real.open:
                continue
            hidden = await visitor.ask(http, real)
            absent = await visitor.ask(http, made_up)
            same = hidden[1].replace(TASK, nobody)
            assert (hidden[0], _timeless(same)) == (absent[0], _timeless(absent[1]))
            if TASK in real.path:
                known = hidden[0] < 400 and "unknown" not in hidden[1].lower()
                assert not known or real.method == "HEAD", real
            assert not _marks(hidden[1].replace(TASK, "")), real
    app.close()


def _marks(text: str) -> list[str]:
    return [mark for mark in MARKS[1:] if mark in text]


def _timeless(text: str) -> str:
    # Times, ids that are drawn anew, signatures, and how old all is.
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "AT", text)
    text = re.sub(r'"(id|token|name|cursor)":"[^"]*"', "", text)
    # Before and after it is noticed that no monitor writes here.
    text = re.sub(r',"stale":\{[^}]*\}', "", text)
    return re.sub(r"\d+", "N", text)


async def _fill(server: Server) -> None:
    await server.beat(broker="redis://secret-queue")
    worker = worker_of("celery@secret-host")
    await server.store.store([], [worker], now=time.time())
    await server.store.open_gap(gap_of("celery@secret-host fell silent"))
    await server.tell(
        "received",
        TASK,
        name="payroll.run",
        queue="secret-queue",
        host="celery@secret-host",
        kwargs="{'of': 'hidden-word'}",
    )
    await server.tell(
        "failed", TASK, host="celery@secret-host", exception="hidden-word"
    )
