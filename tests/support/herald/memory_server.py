"""The whole server over a store in memory, in a thread of its own, for clients."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

import msgspec
import uvicorn
from celery import Celery

from herald_core.model.events.event import Event
from herald_core.model.workers.worker_record import Worker
from herald_core.model.workers.worker_reports import parse_worker
from herald_core.store.memory.store import MemoryStore
from herald_server.api.context import ServerContext
from herald_server.wiring.asgi import create_app
from herald_server.wiring.settings import ServerSettings
from herald_server.wiring.web_server.listening import format_url, listen
from tests.support.wait import wait_until_async

TOKEN = "token-of-the-tests"
T = TypeVar("T")


class LiveServer:
    """A server on a free port. Its methods may be called from any other thread."""

    def __init__(self, store: MemoryStore, app: Celery | None = None) -> None:
        self.store = store
        self.url = ""
        self._app = app
        self._clock = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._shared: ServerContext | None = None

    def start(self) -> None:
        """Serve, and return once it does."""
        self._thread.start()
        assert self._ready.wait(30), "the server does not start"

    def stop(self) -> None:
        """Stop, with all its connections."""
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def tell(self, kind: str, task_id: str, **fields: Any) -> None:
        """Store an event of a worker, as a monitor does."""
        self._clock += 1
        said: dict[str, Any] = {
            "host": "celery@one",
            "pid": 7,
            "clock": self._clock,
            **fields,
        }
        now = time.time()
        event = Event(kind=kind, task_id=task_id, at=now, **said)
        self.do(self.store.store([event], now=now))

    def hear_of(self, worker: Worker) -> None:
        """Store what a worker said of itself."""
        self.do(self.store.store([], [worker], now=time.time()))

    def watched(self) -> bool:
        """Say whether anybody watches anything."""
        return self._shared is not None and self._shared.hub.count_subscribers() > 0

    def do(self, job: Coroutine[Any, Any, T]) -> T:
        """Run something where the store lives."""
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(10)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())

    async def _serve(self) -> None:
        settings = ServerSettings(token=TOKEN)
        bound = listen("127.0.0.1", 0)
        made = create_app(settings, self.store, self._app)
        self._shared = made.state.shared
        config = uvicorn.Config(
            made,
            log_config=None,
            access_log=False,
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        server = self._server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        await wait_until_async(lambda: server.started or serving.done())
        self.url = format_url(bound)
        self._ready.set()
        await serving


def worker_of(hostname: str, **fields: Any) -> Worker:
    """Return what a heartbeat tells of a worker."""
    beat = {
        "type": "worker-heartbeat",
        "hostname": hostname,
        "timestamp": time.time(),
        "clock": 1,
        "pid": 7,
        "freq": 2.0,
        **fields,
    }
    worker = parse_worker(beat, time.time())
    assert worker is not None
    return worker


def gone_worker(hostname: str) -> Worker:
    """Return what is known of a worker that was last heard a minute ago."""
    ago = time.time() - 60
    worker = worker_of(hostname, timestamp=ago)
    return msgspec.structs.replace(worker, received_at=int(ago))


@contextlib.contextmanager
def live_server(
    app: Celery | None = None, store: MemoryStore | None = None
) -> Generator[LiveServer, None, None]:
    """Run a server for the length of the block."""
    server = LiveServer(store or MemoryStore(), app)
    server.start()
    try:
        yield server
    finally:
        server.stop()
