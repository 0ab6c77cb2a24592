"""The tutorials of live progress, run as printed, on an origin of their own."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from celery import Celery
from playwright.sync_api import Page, expect

from herald_core.system.subprocesses import kill_group, spawn
from tests.support.environment import DOCS
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import private_valkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.celery]

FILE = re.compile(r"^```\w+\n(?:# |<!-- )(\w+\.\w+)(?: -->)?\n(.*?)^```$", re.M | re.S)
MAX_LINES = 15
"""Lines that a developer adds to an application that has its users and tasks."""

MANAGE = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line

AUTH = "django.contrib.auth"
SESSIONS = "django.contrib.sessions"
settings.configure(
    DEBUG=True, ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", SECRET_KEY="k",
    INSTALLED_APPS=[AUTH, "django.contrib.contenttypes", SESSIONS],
    MIDDLEWARE=[
        SESSIONS + ".middleware.SessionMiddleware",
        AUTH + ".middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
if sys.argv[1:] == ["log-in"]:
    import django
    from django.test import Client
    from django.contrib.auth import get_user_model

    django.setup()
    execute_from_command_line(["manage.py", "migrate", "-v0"])
    client = Client()
    client.force_login(get_user_model().objects.create_user("ann", pk=42))
    print(client.cookies["sessionid"].value)
else:
    execute_from_command_line(["manage.py", *sys.argv[1:]])
"""
"""An application in Django with users; `log-in` logs one in and prints the session."""

USERS = """
from fastapi import Cookie, HTTPException


def get_user_id(sessionid: str | None = Cookie(None)) -> int:
    if sessionid != "of-ann":
        raise HTTPException(401)
    return 42
"""
"""The users of an application in FastAPI."""

SERVERS = {
    "fastapi": ["-m", "uvicorn", "main:app", "--port", "{port}"],
    "django": ["manage.py", "runserver", "--noreload", "127.0.0.1:{port}"],
}

WORKER = ("-m", "celery", "-A", "tasks", "worker", "-I", "herald_worker.auto")


class Application(NamedTuple):
    """The application of a tutorial, with its worker and its Herald."""

    url: str
    celery: Celery
    session: str
    """The cookie of a user who has logged in."""


def read_files(framework: str) -> dict[str, str]:
    """Return the files that a tutorial prints, by name."""
    return dict(
        FILE.findall((DOCS / "tutorials" / f"progress-{framework}.md").read_text())
    )


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as place:
        return int(place.getsockname()[1])


def log_in(place: Path) -> str:
    """Log a user into the application in Django; return the session."""
    words = [sys.executable, "manage.py", "log-in"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(params=SERVERS)
def application(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Application]:
    """The tutorial's files, the worker, Herald and the application, as it says."""
    port, framework = find_port(), str(request.param)
    running: list[subprocess.Popen[bytes]] = []
    with private_valkey() as server:
        up = HeraldProcess(
            tmp_path / "up.log",
            *("up", "--broker", server.url),
            HERALD_ALLOWED_ORIGINS=f"http://127.0.0.1:{port}",
        )
        up.start()
        own = {"manage.py": MANAGE, "users.py": USERS}
        for name, text in {**own, **read_files(framework)}.items():
            text = text.replace("YOUR_TOKEN", TOKEN)
            text = text.replace("http://127.0.0.1:8787/", up.url)
            text = text.replace("ws://127.0.0.1:8787/", up.url.replace("http", "ws", 1))
            (tmp_path / name).write_text(text)
        env = {**os.environ, "BROKER": server.url, "PYTHONPATH": str(tmp_path)}
        for words in (
            [*WORKER, "-P", "solo"],
            [word.format(port=port) for word in SERVERS[framework]],
        ):
            log = tmp_path / f"{len(running)}.log"
            place = ["sh", "-c", 'cd "$0" && exec "$@"', str(tmp_path), sys.executable]
            running.append(spawn([*place, *words], log, env=env))
        app = Celery("tasks", broker=server.url, set_as_current=False)
        try:
            wait_until(lambda: bool(cast(Any, app).control.ping(timeout=0.3)), 30)
            session = log_in(tmp_path) if framework == "django" else "of-ann"
            yield Application(f"http://127.0.0.1:{port}/", app, session)
        finally:
            for process in running:
                kill_group(process)
            up.stop()
            cast(Any, app).close()


def test_a_user_sees_the_progress_of_their_task(
    application: Application, tab: Page
) -> None:
    def is_served() -> bool:
        try:
            tab.goto(application.url)
        except Exception:  # it is on its way up
            return False
        return True

    wait_until(is_served, 30, "the application serves the page")
    answer = tab.request.get(f"{application.url}herald-token", max_redirects=0)
    assert answer.status in (302, 401), "nobody is logged in, so there is no token"
    cookie: Any = {
        "name": "sessionid",
        "value": application.session,
        "url": application.url,
    }
    tab.context.add_cookies([cookie])
    tab.reload()
    send = cast(Any, application.celery).send_task
    send("tasks.report", headers={"herald_tags": ["user:7"]})
    send("tasks.report", headers={"herald_tags": ["user:42"]})
    expect(tab.locator("#bar")).to_have_js_property("value", 100)


@pytest.mark.parametrize("framework", SERVERS)
def test_it_takes_few_lines(framework: str) -> None:
    files = read_files(framework)
    page = files["progress.html"].splitlines()
    name = {"fastapi": "main.py", "django": "urls.py"}[framework]
    code = files[name].partition("herald = ")[2].splitlines()
    lines = [line for line in code if line.strip() and not _is_frame(line)]
    assert len(lines) + len(page) <= MAX_LINES, lines


def _is_frame(line: str) -> bool:
    """Return True for what an application has anyway: its page, its list of URLs."""
    return "progress.html" in line or line.strip() in ("urlpatterns = [", "]")
