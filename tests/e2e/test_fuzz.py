"""Nonsense at every door: each gets its answer, and nothing breaks or stays behind."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from herald_core.store.memory.store import MemoryStore
from herald_server.wiring.asgi import create_app
from herald_server.wiring.settings import ServerSettings
from tests.support.celery.project import make_app
from tests.support.clients.random_input import Noise
from tests.support.clients.route_requests import Try, tries
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.herald.server import serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

AT_ONCE = 8
INTERNAL = 1011
"""Close code of a WebSocket whose server failed."""

BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Fuzzing:
    """Tries all doors of a Herald until a moment comes."""

    def __init__(self, url: str, noise: Noise, until_: float) -> None:
        self.url = url
        self.noise = noise
        self.until = until_
        self.asked: dict[str, int] = {}
        self.wrong: list[str] = []
        app = create_app(ServerSettings(token=TOKEN), MemoryStore(), None)
        # Not ready is what a server without a monitor is.
        others = ("/mcp", "/readyz")
        self.routes = [one for one in tries(app, "t") if one.path not in others]

    async def run(self) -> None:
        """Try one door after the other, several at a time."""
        async with httpx2.AsyncClient(
            headers=BEARER, timeout=30, trust_env=False
        ) as http:
            await asyncio.gather(*(self._go_on(http) for _ in range(AT_ONCE)))

    async def _go_on(self, http: httpx2.AsyncClient) -> None:
        doors: list[Callable[[httpx2.AsyncClient], Awaitable[None]]] = [
            *(self.rest, self.rest, self.mcp, self.mcp, self.socket, self.raw)
        ]
        while time.monotonic() < self.until and not self.wrong:
            door = self.noise.random.choice(doors)
            self.asked[door.__name__] = self.asked.get(door.__name__, 0) + 1
            await door(http)

    def _judge(self, status: int, about: object, text: str) -> None:
        if status >= 500:
            self.wrong.append(f"{about!r:.600} was answered {status}: {text[:300]}")

    async def rest(self, http: httpx2.AsyncClient) -> None:
        """Ask a route for something odd."""
        noise = self.noise
        route: Try = noise.random.choice(self.routes)
        method = route.method if noise.chance(0.8) else "PUT"
        body = noise.body(task_type="metrics_snapshot") if method == "POST" else None
        url = self.url.rstrip("/") + noise.path(route.path)
        if route.path.endswith("/wait"):
            url += ("&" if "?" in url else "?") + "timeout=0"
        await self._ask(http, method, url, body, {})

    async def mcp(self, http: httpx2.AsyncClient) -> None:
        """Send a message that hardly is one."""
        version = self.noise.random.choice(("2026-07-28", "2025-06-18", ""))
        headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            **({"MCP-Protocol-Version": version} if version else {}),
        }
        await self._ask(http, "POST", f"{self.url}mcp", self.noise.call(), headers)

    async def _ask(
        self,
        http: httpx2.AsyncClient,
        method: str,
        url: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> None:
        try:
            await self._ask_in_time(http, method, url, body, headers)
        except httpx2.ReadTimeout:
            self.wrong.append(f"{(method, url, body)!r:.600} was never answered")

    async def _ask_in_time(
        self,
        http: httpx2.AsyncClient,
        method: str,
        url: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> None:
        async with http.stream(method, url, content=body, headers=headers) as answer:
            kind = answer.headers.get("content-type", "")
            text = ""
            try:
                # Of what never ends, the beginning.
                async with asyncio.timeout(0.3 if "event-stream" in kind else 10):
                    text = (await answer.aread()).decode(errors="replace")
            except TimeoutError:
                assert "event-stream" in kind, url
            self._judge(answer.status_code, (method, url, body), text)

    async def socket(self, _: httpx2.AsyncClient) -> None:
        """Say odd things over a WebSocket until it is closed."""
        url = self.url.replace("http", "ws", 1) + "ws"
        said: list[str | bytes] = []
        async with connect(
            url, additional_headers=BEARER, proxy=None, close_timeout=1
        ) as socket:
            try:
                for _n in range(20):
                    said.append(self.noise.frame())
                    await socket.send(said[-1])
                await socket.recv()
            except ConnectionClosed as closed:
                if closed.rcvd is None or closed.rcvd.code == INTERNAL:
                    self.wrong.append(f"{said!r:.2000} ended in {closed}")

    async def raw(self, _: httpx2.AsyncClient) -> None:
        """Send bytes, and hang up at some moment."""
        place = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        sent = self.noise.request(TOKEN)
        try:
            writer.write(sent)
            if self.noise.chance(0.7):
                writer.write_eof()
                async with asyncio.timeout(0.2):
                    text = (await reader.read(65_536)).decode(errors="replace")
                    if text.startswith("HTTP/1.1 5"):
                        self._judge(int(text[9:12]), sent, text)
        except (OSError, TimeoutError):
            pass
        finally:
            writer.transport.abort()


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(li.split()[1]) / 1024 for li in lines if li.startswith("VmRSS"))


def _seed() -> int:
    return int(os.environ.get("HERALD_TEST_SEED", random.randrange(1 << 30)))


async def test_nonsense_is_answered(
    module_valkey: PrivateValkey, caplog: pytest.LogCaptureFixture
) -> None:
    seed, app = _seed(), make_app(module_valkey.url)
    async with serving(module_valkey.url, celery=app, request_timeout=2.0) as server:
        fuzzing = Fuzzing(server.url, Noise(seed), time.monotonic() + 0.7)
        await fuzzing.run()
    app.close()
    assert not fuzzing.wrong, f"seed {seed}: {fuzzing.wrong[0]}"
    failed = [one for one in caplog.records if one.exc_info]
    assert not failed, f"seed {seed}: {failed} {caplog.text[-3_000:]}"


@pytest.mark.soak
async def test_nonsense_leaves_nothing_behind(
    tmp_path: Path, module_valkey: PrivateValkey
) -> None:
    seed, seconds = _seed(), 60.0
    noise = Noise(seed)
    herald = HeraldProcess(
        tmp_path / "herald.log",
        "server",
        HERALD_STORE_URL=module_valkey.url,
        HERALD_BROKER_URL=module_valkey.url,
        HERALD_REQUEST_TIMEOUT="2",
        HERALD_STARTS_PER_MINUTE="0",
    )
    herald.start()
    try:
        # What is loaded and connected once, whatever is asked, is no leak.
        await Fuzzing(herald.url, noise, time.monotonic() + seconds / 4).run()
        before = _descriptors(herald.pid), _megabytes(herald.pid)
        fuzzing = Fuzzing(herald.url, noise, time.monotonic() + seconds)
        await fuzzing.run()
        print(f"seed {seed}: {fuzzing.asked}; RSS {before[1]:.0f} MB before", end="")
        assert not fuzzing.wrong, f"seed {seed}: {fuzzing.wrong[0]}"
        assert len(fuzzing.asked) == 4
        await wait_until_async(
            lambda: _descriptors(herald.pid) <= before[0] + 8, 30, "all closed"
        )
        after = _megabytes(herald.pid)
        print(f", {after:.0f} MB after")
        assert after < before[1] + 40, f"seed {seed}"
    finally:
        assert herald.stop(), "it stops when it is told to"
    log = herald.log.read_text()
    assert "Traceback" not in log, f"seed {seed}: {log[-3_000:]}"
