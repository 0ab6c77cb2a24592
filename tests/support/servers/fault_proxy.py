"""A TCP proxy that breaks things on command, for tests without a loop."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

T = TypeVar("T")
CHUNK = 65536
DEFAULT_PORTS = {"redis": 6379, "amqp": 5672, "http": 80}


class Proxy:
    """A proxy on 127.0.0.1 in front of the server behind `url`.

    All methods may be called from any thread and act before they return.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self.port = 0
        self.accepted = 0
        self._latency = 0.0
        self._rate: float | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()

    @property
    def url(self) -> str:
        """The server's URL, by way of the proxy."""
        credentials, at, _ = self._target.netloc.rpartition("@")
        place = f"{credentials}{at}127.0.0.1:{self.port}"
        return urlunsplit(self._target._replace(netloc=place))

    @property
    def connections(self) -> int:
        """The number of open connections from clients."""
        return len(self._lines) // 2

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self._do(self._listen())
        self.heal()

    def stop(self) -> None:
        """Close everything."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def delay(self, seconds: float) -> None:
        """Hold back each piece for `seconds` in each direction."""
        self._latency = seconds

    def drip(self, bytes_per_second: float | None) -> None:
        """Let only so much through, or with None everything."""
        self._rate = bytes_per_second

    def lead_to(self, url: str) -> None:
        """Take new connections to the server behind `url` instead."""
        self._target = urlsplit(url)

    def cut(self) -> None:
        """Close all connections; new ones are welcome."""
        self._do(self._cut())

    def black_hole(self) -> None:
        """Let nothing through and close nothing, as a lost route does."""
        self._loop.call_soon_threadsafe(self._open.clear)

    @contextlib.contextmanager
    def swallow(self) -> Generator[None, None, None]:
        """Be a black hole for the length of the block."""
        self.black_hole()
        try:
            yield
        finally:
            self.heal()

    def refuse(self) -> None:
        """Close all connections and refuse new ones, as a dead server does."""
        self._do(self._stop_listening())
        self.cut()

    def heal(self) -> None:
        """Pass everything on at once, old and new."""
        self._latency, self._rate = 0.0, None
        self._do(self._listen())
        self._loop.call_soon_threadsafe(self._open.set)

    def _do(self, job: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port
            )
            self.port = int(self._server.sockets[0].getsockname()[1])

    async def _stop_listening(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        # Python 3.11 leaks the socket of a line that was just accepted when its
        # server closes: no more are accepted, then those are made, then it closes.
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()

    async def _cut(self) -> None:
        for line in tuple(self._lines):
            line.transport.abort()

    async def _end(self) -> None:
        await self._stop_listening()
        await self._cut()
        pumps = tuple(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        # What was aborted is closed in the next turn of the loop.
        await asyncio.sleep(0)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.accepted += 1
        # Known from its first moment, so that whoever cuts lines cuts it too.
        self._lines.add(writer)
        serving = asyncio.current_task()
        assert serving is not None
        self._pumps.add(serving)
        serving.add_done_callback(self._pumps.discard)
        port = self._target.port or DEFAULT_PORTS[self._target.scheme]
        host = self._target.hostname or "127.0.0.1"
        try:
            there = await asyncio.open_connection(host, port)
        except BaseException as error:
            writer.transport.abort()
            self._lines.discard(writer)
            if isinstance(error, OSError):
                return
            raise
        if writer.transport.is_closing():
            there[1].transport.abort()
            self._lines.discard(writer)
            return
        self._lines.add(there[1])
        self._pump(reader, there[1], writer)
        self._pump(there[0], writer, there[1])

    def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
    ) -> None:
        pump = self._loop.create_task(self._pass_on(source, sink, back))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(CHUNK):
                await self._hold_back(len(piece))
                sink.write(piece)
                await sink.drain()
        # A close is news as well, and does not come through a black hole.
        await self._open.wait()
        for line in (sink, back):
            line.transport.abort()
            self._lines.discard(line)

    async def _hold_back(self, size: int) -> None:
        if self._latency:
            await asyncio.sleep(self._latency)
        if self._rate:
            await asyncio.sleep(size / self._rate)
        await self._open.wait()
