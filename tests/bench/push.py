"""From `Writer.store` to the frame at a client: what the push side adds by itself.

`python -m tests.bench.push [RATE …]` prints one row a rate. The writer is a
process, the server another, the client this one; all on a private Valkey.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from websockets.asyncio.client import connect

from herald_monitor.child_process import end, spawn
from herald_monitor.model.events import Event
from herald_monitor.redis_store import RedisStore
from tests.servers import private_valkey, wait_until

TOKEN = "a-token-for-the-bench"
RATES = (50.0, 100.0)
SECONDS = 10.0
WRITE = "--write"


async def write(url: str, prefix: str, rate: float, seconds: float) -> None:
    """Store one event at a time; its arguments say when it was handed over."""
    store = RedisStore(url, prefix=prefix)
    await store.open()
    start = time.monotonic()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(start + number / rate - time.monotonic(), 0))
        now = time.time()
        event = Event(
            kind="received",
            task_id=f"{rate:g}-{number}",
            at=now,
            host="w@h",
            name="bench.task",
            args=repr(time.monotonic()),
        )
        await store.store([event], now=now)
    await store.close()


async def hear(ws: str, expected: int) -> list[float]:
    """Return seconds from handing over to hearing, of `expected` events."""
    took: list[float] = []
    header = {"Authorization": f"Bearer {TOKEN}"}
    async with connect(
        ws, additional_headers=header, compression=None, proxy=None
    ) as socket:
        wish: dict[str, Any] = {
            "type": "subscribe",
            "id": "s",
            "filter": {},
            "limit": 0,
        }
        await socket.send(msgspec.json.encode(wish).decode())
        while len(took) < expected:
            text = await asyncio.wait_for(socket.recv(), 10)
            now = time.monotonic()
            frame: dict[str, Any] = msgspec.json.decode(text)
            took += [now - float(put["args"]) for put in frame.get("put", ())]
    return took


def row(rate: float, took: list[float]) -> str:
    """Return one line of the table, in milliseconds."""
    took = sorted(took)
    marks = [took[int(len(took) * q)] for q in (0.5, 0.9, 0.99)] + [took[-1]]
    told = "  ".join(f"{1000 * mark:7.2f}" for mark in marks)
    return f"{rate:8g}  {len(took):6}  {told}"


async def measure(redis: str, prefix: str, ws: str, rate: float) -> str:
    """Run one rate."""
    # The first entry ever is a break of the log, and would be told as a reset.
    await write(redis, prefix, 1000, 0.002)
    await asyncio.sleep(0.2)
    hearing = asyncio.create_task(hear(ws, round(rate * SECONDS)))
    await asyncio.sleep(0.3)
    words = [sys.executable, "-m", "tests.bench.push", WRITE, redis, prefix]
    writing = await asyncio.create_subprocess_exec(*words, str(rate), str(SECONDS))
    took = await hearing
    await writing.wait()
    return row(rate, took)


def main(rates: list[float]) -> None:
    """Measure all `rates` on one server."""
    prefix = f"{{bench-{uuid4().hex}}}"
    with private_valkey() as valkey, tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        env = {
            **os.environ,
            "HERALD_STORE_URL": valkey.url,
            "HERALD_STORE_PREFIX": prefix,
            "HERALD_TOKEN": TOKEN,
        }
        words = [sys.executable, "-m", "herald_server", "server", "--port", "0"]
        server = spawn(words, log, env=env)
        try:
            wait_until(lambda: "ready " in log.read_text(), 30)
            url = log.read_text().partition("ready http")[2].split()[0]
            print("events/s   count      p50      p90      p99      max  (ms)")
            for rate in rates:
                print(asyncio.run(measure(valkey.url, prefix, f"ws{url}ws", rate)))
        finally:
            server.send_signal(signal.SIGTERM)
            end(server, 5.0)


if __name__ == "__main__":
    if sys.argv[1:2] == [WRITE]:
        redis_url, key_prefix, per_second, duration = sys.argv[2:6]
        asyncio.run(write(redis_url, key_prefix, float(per_second), float(duration)))
    else:
        main([float(word) for word in sys.argv[1:]] or list(RATES))
