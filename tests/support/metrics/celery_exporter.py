"""celery-exporter, in an environment of its own."""

import contextlib
import os
import subprocess
import venv
from collections.abc import Generator
from pathlib import Path

import httpx2

from herald_core.system.subprocesses import spawn, terminate
from tests.support.servers.nginx import free_port
from tests.support.wait import wait_until

REQUIREMENT = os.environ.get(
    "HERALD_TEST_CELERY_EXPORTER", "prometheus-exporter-celery"
)
"""What pip installs: its name in the package index, or a folder with its source."""

RUN = "from src.cli import cli; cli()"


def install_exporter(place: Path) -> Path:
    """Return a Python that has celery-exporter, apart from ours."""
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    # Its own bound of redis-py may be older than what today's kombu needs.
    for words in ([REQUIREMENT, "packaging"], ["--no-deps", "redis>=6.4,<8"]):
        subprocess.run([python, "-m", "pip", "install", "-q", *words], check=True)
    return python


@contextlib.contextmanager
def celery_exporter(python: Path, broker: str, log: Path) -> Generator[str]:
    """Run it on `broker`; give its address, `HOST:PORT`."""
    port = free_port()
    words = [str(python), "-c", RUN, "--broker-url", broker, "--port", str(port)]
    process = spawn(words, log)
    address = f"127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(address), 60, "celery-exporter answers")
        yield address
    finally:
        terminate(process, 5.0)


def _answers(address: str) -> bool:
    try:
        return httpx2.get(f"http://{address}/metrics", timeout=20).status_code == 200
    except httpx2.HTTPError:
        return False
