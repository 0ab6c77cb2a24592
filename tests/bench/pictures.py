"""Flame graphs of monitor and server under load: `python -m tests.bench.pictures`.

Writes monitor-profile.svg and server-profile.svg into server/docs/pictures, with py-spy
(`pip install py-spy`): the monitor at 20,000 events a second, the server while it
tells 1,000 watchers of 5,000 events a second, of which each asks for 1 %.
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.ingest import A_TASK, broker, running, taken_in
from tests.bench.push import place
from tests.support.environment import ROOT
from tests.support.servers.redis import private_valkey

SECONDS = 10
BEGIN = 3.0
"""Seconds after which the picture is begun: publishers and watchers come first."""


@contextmanager
def picture(pid: int, to: Path) -> Generator[None]:
    """Take a picture of a process while the block runs."""
    program = shutil.which("py-spy")
    if program is None:
        sys.exit("py-spy is not installed; run pip install py-spy")
    words = [program, "record", "-t", "-r", "400", "-d", str(SECONDS), "-p", str(pid)]
    ready = threading.Event()

    def take() -> None:
        ready.wait(BEGIN)
        subprocess.run([*words, "-o", str(to)], capture_output=True, check=True)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    # It is titled with the command, and so with where things lie here.
    text = to.read_text().replace(str(to), to.name).replace(program, "py-spy")
    to.write_text(text.replace(sys.executable, "python"))


def of_monitor(to: Path, rate: float = 20_000.0) -> None:
    """Take a picture of a monitor that receives `rate` events a second."""
    tasks = int(rate * (SECONDS + BEGIN) / A_TASK)
    with (
        broker() as url,
        private_valkey() as stored,
        tempfile.TemporaryDirectory() as folder,
        # All by itself: py-spy holds it up until it would call for help.
        running(url, stored.url, Path(folder), writers=0) as pid,
        picture(pid, to),
    ):
        print("monitor:", *asyncio.run(taken_in(url, stored.url, pid, tasks, 1, rate)))


def of_server(to: Path) -> None:
    """Take a picture of a server with many watchers."""
    with place() as room, picture(room.server.pid, to):
        told = room.tell(1_000, "one percent", 5_000.0, SECONDS + BEGIN)
        print("server:", told.late, told.wrong or "")


if __name__ == "__main__":
    of_monitor(ROOT / "server" / "docs" / "pictures" / "monitor-profile.svg")
    of_server(ROOT / "server" / "docs" / "pictures" / "server-profile.svg")
