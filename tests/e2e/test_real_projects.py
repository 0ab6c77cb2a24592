"""Herald beside projects as people write them: it says what their own backend says."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from herald_core.model.tasks.views import from_rfc3339
from tests.support.celery.framework_projects import (
    DJANGO,
    FASTAPI,
    FLASK,
    PLAIN,
    TASKS,
    Project,
)
from tests.support.environment import missing
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.timeout(300)]

POSTGRES = os.environ.get(
    "HERALD_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
)
ASKABLE = {"django", "django-pg", "sqlite", "postgresql", "file"}
"""Whose backend can be searched for what Herald never heard of."""


@pytest.fixture
def database() -> Iterator[str]:
    """The name of an empty database on PostgreSQL."""
    import psycopg

    name = f"herald_test_{uuid4().hex[:12]}"
    try:
        line = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        missing(f"PostgreSQL ({urlsplit(POSTGRES).netloc})")
        return
    with line:
        line.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield name
        finally:
            line.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def plain(backend: str) -> dict[str, str]:
    """Return a project whose backend keeps times of Berlin."""
    conf = f"app.conf.update(result_backend={backend!r}, enable_utc=False)\n"
    return {
        "shop.py": PLAIN + conf + 'app.conf.timezone = "Europe/Berlin"\n',
        "shop_tasks.py": TASKS,
        "client.py": "from shop import app\nfrom shop_tasks import *\n",
    }


@pytest.fixture
def project(
    request: pytest.FixtureRequest, module_valkey: PrivateValkey, tmp_path: Path
) -> Iterator[Project]:
    kind: str = request.param
    with module_valkey.client() as client:
        client.flushall()
    made = make_project(kind, request, module_valkey.url, tmp_path)
    try:
        if kind.startswith("django"):
            migrate = "call_command('migrate', verbosity=0)"
            made.python(
                f"from client import *\nfrom django.core.management import "
                f"call_command\n{migrate}"
            )
        made.start_worker()
        made.herald.start()
        yield made
    finally:
        made.stop()


def make_project(
    kind: str, request: pytest.FixtureRequest, broker: str, place: Path
) -> Project:
    env = {"BROKER": broker, "BACKEND": broker[:-1] + "1"}
    if kind == "django":
        engine = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(place / "db")}
        env |= {**engine, "USE_TZ": "0", "DJANGO_SETTINGS_MODULE": "shop.settings"}
        return Project(place, DJANGO, "shop", **env)
    if kind == "django-pg":
        name = request.getfixturevalue("database")
        env |= {"ENGINE": "django.db.backends.postgresql", "NAME": name}
        env |= {"USE_TZ": "1", "DJANGO_SETTINGS_MODULE": "shop.settings"}
        return Project(place, DJANGO, "shop", **env)
    if kind in ("flask", "fastapi"):
        files, app = (FLASK, "shop") if kind == "flask" else (FASTAPI, "shop:celery")
        return Project(place, files, app, **env)
    if kind == "postgresql":
        name = request.getfixturevalue("database")
        backend = f"db+postgresql+psycopg://postgres@127.0.0.1:5432/{name}"
    else:
        (place / "results").mkdir()
        backend = {
            "sqlite": f"db+sqlite:///{place}/results.db",
            "file": f"file://{place}/results",
            "rpc": "rpc://",
            "none": "",
        }[kind]
    return Project(place, plain(backend), "shop", **env)


KINDS = [
    "django",
    "django-pg",
    "sqlite",
    "postgresql",
    "file",
    "rpc",
    "none",
    "flask",
    "fastapi",
]


@pytest.mark.parametrize("project", KINDS, indirect=True, ids=KINDS)
def test_the_end_of_each_task_is_what_the_project_itself_keeps(
    project: Project, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.id
    ids = project.send()
    wait_until(lambda: project.are_final(ids), 60, "what was sent is over")
    good, bad = project.known(ids)
    assert good is not None
    assert bad is not None
    assert (good["state"], good["result"]) == ("SUCCESS", "3")
    assert (bad["state"], bad["exception"]) == ("FAILURE", "ValueError('no')")
    if kind not in ("rpc", "none"):
        assert project.stored(ids) == ["SUCCESS", "FAILURE"]
    if kind == "rpc":
        # The reply is the client's, whoever else looks.
        code = "from client import *\nprint(add.delay(2, 2).get(timeout=20))"
        assert project.python(code) == "4"
    if kind in ASKABLE:
        check_repair(project)


def check_repair(project: Project) -> None:
    """What happened while no monitor ran is found in the backend, with its time."""
    assert project.herald.stop()
    began = time.time()
    ids = project.send()
    both = ["SUCCESS", "FAILURE"]
    wait_until(lambda: project.stored(ids) == both, 60, "both are stored")
    ended = time.time()
    project.herald.start()
    wait_until(lambda: project.are_final(ids), 60, "the gap is mended")
    for task, state in zip(project.known(ids), both, strict=True):
        assert task is not None
        assert (task["state"], task["source"]) == (state, "backend")
        assert began - 2 <= from_rfc3339(task["finished_at"]) <= ended + 2
