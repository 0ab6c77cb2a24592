"""Producers behind a web server: Django views that send tasks, under gunicorn.

With `--preload` the project is imported, and here sends a task, before the server forks
its workers: each of them has a writer of its own.
"""

from __future__ import annotations

import os
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.celery.outbox_stream import OutboxReader
from tests.support.environment import ROOT
from tests.support.servers.nginx import free_port
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

FILES = {
    "shop/__init__.py": "from .celery import app as celery_app\n",
    "shop/celery.py": """
import os
from celery import Celery
import herald_worker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
herald_worker.install(app)
""",
    "shop/settings.py": """
import os
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
CELERY_BROKER_URL = os.environ["BROKER"]
""",
    "shop/urls.py": """
import os
from django.http import HttpResponse
from django.urls import path
from shop.celery import app
import herald_worker

def order(request, number):
    with herald_worker.tags(f"order:{number}"):
        app.send_task("shop.ship", (number,))
    return HttpResponse(str(os.getpid()))

urlpatterns = [path("order/<int:number>", order)]
""",
    "shop/wsgi.py": """
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
from shop.celery import app
app.send_task("shop.warm_up")
""",
}
REQUESTS = 30


@pytest.fixture(params=["sync", "gthread", "gevent"])
def url(
    request: pytest.FixtureRequest, valkey: PrivateValkey, tmp_path: Path
) -> Iterator[str]:
    """The address of a running gunicorn with workers of some class."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    address = f"127.0.0.1:{free_port()}"
    words = [sys.executable, "-m", "gunicorn", "shop.wsgi", "--preload", "-w", "3"]
    words += ["-b", address, "--chdir", str(tmp_path), "-k", cast(str, request.param)]
    env = {**os.environ, "BROKER": valkey.url}
    env["PYTHONPATH"] = f"{tmp_path}:{ROOT / 'monitor'}"
    process = spawn(words, tmp_path / "gunicorn.log", env=env)
    yield f"http://{address}/"
    terminate(process, 10)
    kill_group(process)


def order(url: str, number: int) -> str:
    """Ask a view to send a task; return the process that did."""
    try:
        with urllib.request.urlopen(f"{url}order/{number}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:  # It is on its way up.
        return ""


def test_views_that_send_tasks(url: str, stream: OutboxReader) -> None:
    first = wait_until(lambda: order(url, 0), 30, "it serves")
    processes = {first, *(order(url, number) for number in range(1, REQUESTS))}
    events = wait_until(
        stream.read_events, 30, "all are there", accept=lambda e: len(e) > REQUESTS
    )
    names = Counter(event["name"] for event in events)
    assert names == {"shop.ship": REQUESTS, "shop.warm_up": 1}
    shipped = [event for event in events if event["name"] == "shop.ship"]
    tags = {tag for event in shipped for tag in event["tags"]}
    assert tags == {f"order:{number}" for number in range(REQUESTS)}
    writers = {entry["writer"].rpartition("/")[2] for entry in stream.read_entries()}
    assert writers > processes, "and the one that loaded the project"
