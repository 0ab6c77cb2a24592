"""RabbitMQ, in a virtual host of a test's own."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from kombu import Connection

from tests.support.environment import missing

AMQP_URL = os.environ.get("HERALD_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//")


@contextlib.contextmanager
def rabbitmq() -> Generator[str, None, None]:
    """Find RabbitMQ, in a virtual host of our own if we may make one."""
    with Connection(AMQP_URL, connect_timeout=2) as connection:
        try:
            cast(Any, connection).ensure_connection(max_retries=0)
        except Exception:
            missing(f"RabbitMQ ({AMQP_URL})")
    vhost = f"herald-test-{uuid4().hex[:12]}"
    if not _rabbitmqctl("add_vhost", vhost):
        yield AMQP_URL
        return
    try:
        user = urlsplit(AMQP_URL).username or "guest"
        _rabbitmqctl("set_permissions", "-p", vhost, user, ".*", ".*", ".*")
        yield urlunsplit(urlsplit(AMQP_URL)._replace(path=f"/{vhost}"))
    finally:
        _rabbitmqctl("delete_vhost", vhost)


def _rabbitmqctl(*words: str) -> bool:
    program = shutil.which("rabbitmqctl")
    local = urlsplit(AMQP_URL).hostname in ("127.0.0.1", "localhost")
    if not program or not local:
        return False
    done = subprocess.run(
        [program, "-q", *words], capture_output=True, timeout=30, check=False
    )
    return done.returncode == 0
