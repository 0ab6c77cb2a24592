"""Peers that are installed apart: in a virtual environment that the bench makes.

Kept between runs in the folder for temporary files. Whatever cannot be installed
is left out of the table, with a sentence that says why.
"""

import re
import subprocess
import tempfile
import time
import urllib.request
import venv
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import redis

from herald_core.system.subprocesses import spawn, terminate
from tests.bench.ingest import A_TASK, Cost, Publisher, broker, cpu_of
from tests.bench.peers import SILENCE
from tests.support.servers.nginx import free_port
from tests.support.wait import wait_until

FLOWER = "2.2.0"
LOOK = 0.25
"""Seconds between looks at what Flower has counted."""

EXPORTER = "what PyPI has by that name is another program"
"""Why celery-exporter (github.com/danihodovic) is not in the table."""


class LeftOut(Exception):
    """This peer cannot be measured here; its text says why."""


def python_with(*packages: str) -> str:
    """Return a Python that has `packages`, and Celery as it is here."""
    wanted = [*packages, f"celery[redis]=={version('celery')}", "hiredis"]
    name = "-".join(re.sub(r"\W+", "", one) for one in packages)
    place = Path(tempfile.gettempdir()) / f"herald-bench-{name}-{version('celery')}"
    python, done = str(place / "bin" / "python"), place / "done"
    if not done.exists():
        venv.create(place, with_pip=True, clear=True)
        words = [python, "-m", "pip", "install", "-q", *wanted]
        told = subprocess.run(words, capture_output=True, text=True, check=False)
        if told.returncode:
            last = (told.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise LeftOut(f"pip could not install {packages[0]} ({last})")
        done.touch()
    return python


def left_out() -> str:
    """Say why Flower cannot be measured here; nothing if it can."""
    try:
        python_with(f"flower=={FLOWER}")
    except LeftOut as error:
        return str(error)
    return ""


def flower(tasks: int) -> Cost:
    """Let a real Flower take in a flood; it counts what it received itself."""
    python = python_with(f"flower=={FLOWER}")
    with broker() as url, _flower(python, url) as (pid, port):
        publisher = Publisher(url, tasks)
        before, begin = cpu_of(pid), time.perf_counter()
        publisher.go()
        heard, took = _all_counted(port, tasks * A_TASK, begin)
        used = cpu_of(pid) - before
        publisher.wait()
    return Cost(heard / took, 1e6 * used / max(heard, 1), tasks * A_TASK - heard)


@contextmanager
def _flower(python: str, url: str) -> Generator[tuple[int, int]]:
    port = free_port()
    words = [python, "-m", "celery", "--broker", url, "flower"]
    words += ["--address=127.0.0.1", f"--port={port}", "--logging=error"]
    with tempfile.TemporaryDirectory() as place:
        process = spawn(words, Path(place) / "log")
        try:
            with redis.Redis.from_url(url) as client:
                wait_until(lambda: client.pubsub_numpat() > 0, 30, "Flower hears")
            wait_until(lambda: _counted(port) is not None, 30, "Flower answers")
            yield process.pid, port
        finally:
            terminate(process, 5.0)


def _all_counted(port: int, most: int, begin: float) -> tuple[int, float]:
    """Wait for `most` task events; return how many it had, and after what time."""
    heard, took = 0, 1e-9
    last = time.monotonic()
    while heard < most and time.monotonic() - last < SILENCE:
        now = _counted(port) or 0
        if now > heard:
            heard, took, last = now, time.perf_counter() - begin, time.monotonic()
        time.sleep(LOOK)
    return heard, took


_LINE = re.compile(r'^flower_events_total\{.*type="task-.*\} (\S+)$', re.MULTILINE)


def _counted(port: int) -> int | None:
    """Return how many task events Flower has received; None if it does not answer."""
    try:
        # It answers late while it takes in events.
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/metrics", timeout=20
        ) as r:
            told = r.read().decode()
    except OSError:
        return None
    return sum(int(float(number)) for number in _LINE.findall(told))
