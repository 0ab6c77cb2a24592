"""The rows of the bench's table that tell of agents."""

import asyncio
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import agents
from tests.bench.table import Table
from tests.support.herald.process import HeraldProcess
from tests.support.servers.redis import private_valkey


@contextmanager
def _server() -> Generator[tuple[HeraldProcess, str]]:
    with private_valkey() as stored, tempfile.TemporaryDirectory() as place:
        words = ("server", "--store", stored.url, "--log-level", "error")
        server = HeraldProcess(Path(place) / "log", *words)
        server.start()
        try:
            yield server, stored.url
        finally:
            server.stop()


def measure_mcp(table: Table, quick: bool) -> None:
    """Measure how soon agents get their answers, and what their calls cost."""
    table.part("agents over MCP, milliseconds; server, store and clients together")
    with _server() as (server, url):
        _waiting(table, server, url, *((20, 1.0) if quick else (200, 10.0)))
    with _server() as (server, url):
        _asking(table, server, url, *((1_000, 50) if quick else (10_000, 500)))
    with _server() as (server, url):
        _pushing(table, server, url, 20 if quick else 200)


def _waiting(
    table: Table, server: HeraldProcess, url: str, number: int, seconds: float
) -> None:
    found = asyncio.run(agents.all_wait(server, url, number, seconds))
    lost = f"  LOST {number - found.told}" if found.told != number else ""
    table.row(f"{number} wait_for_task at once", _marks(found.late) + lost)
    each = f"{found.begun_with / number:.1f} to begin, {found.ended_with / number:.1f}"
    table.row("", f"reads of the store a call: {each} to be told")


def _asking(
    table: Table, server: HeraldProcess, url: str, active: int, times: int
) -> None:
    found = asyncio.run(agents.asked(server, url, active, times))
    table.row("ping", _marks(found.nothing))
    table.row(f"list_active_tasks of {found.total}", _marks(found.active))
    table.row("get_task_status", _marks(found.one))


def _pushing(table: Table, server: HeraldProcess, url: str, number: int) -> None:
    found = asyncio.run(agents.pushed(server, url, number))
    gets = sum(method.startswith("tasks/") for method in found.asked)
    figures = (
        f"p50 {found.late:7.1f}  {found.ended} of {number} ended, {gets} tasks/get"
    )
    table.row("event → notifications/tasks", figures)


def _marks(took: list[float]) -> str:
    took = sorted(took)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return "  ".join(
        f"{name} {took[min(int(len(took) * q), len(took) - 1)]:7.1f}"
        for name, q in at.items()
    )
