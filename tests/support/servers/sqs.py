"""Amazon SQS as `moto` imitates it, on a port of its own."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen

import boto3

from herald_core.system.subprocesses import spawn, terminate
from tests.support.servers.nginx import free_port
from tests.support.wait import wait_until

REGION = "us-east-1"
TRANSPORT = {
    "region": REGION,
    "wait_time_seconds": 1,
    "polling_interval": 0.05,
    "visibility_timeout": 600,
}
"""Options of a project on SQS: polling is what takes time there."""

LOGIN = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "y",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class PrivateSqs:
    """A server for one test or module; `url` is that of a broker."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"sqs://x:y@127.0.0.1:{port}/"

    @property
    def client(self) -> Any:
        """A client of the server."""
        return cast(Any, boto3).client(
            "sqs",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id="x",
            aws_secret_access_key="y",
        )

    def list_queues(self) -> set[str]:
        """Return the names of all queues."""
        urls = self.client.list_queues().get("QueueUrls", [])
        return {url.rpartition("/")[2] for url in urls}


@contextlib.contextmanager
def private_sqs() -> Generator[PrivateSqs, None, None]:
    """Start a server that ends with the block."""
    port = free_port()
    with tempfile.TemporaryDirectory() as place:
        process = spawn(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            Path(place) / "moto.log",
            env={**os.environ, **LOGIN},
        )
        try:
            wait_until(lambda: _answers(port), 30, "moto's server answers")
            yield PrivateSqs(port)
        finally:
            terminate(process, 5)


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1):
            return True
    except OSError:
        return False
