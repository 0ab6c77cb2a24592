"""Why a server refuses is told apart, by what real servers say to real clients."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis

from herald_core.settings import MonitorSettings
from herald_core.system.error_sentences import (
    KIND_ABSENT,
    KIND_LOGIN,
    KIND_OTHER,
    KIND_RIGHTS,
    KIND_SILENT,
    KIND_TLS,
    KIND_UNKNOWN_NAME,
    find_cause,
)
from herald_monitor.celery_client.app.celery_app import make_app
from herald_monitor.celery_client.backend.redis_reader import RedisResultReader
from herald_server.cli.doctor.collect import collect
from herald_server.cli.doctor.report import InstallationFacts
from herald_server.cli.doctor.rules import find_problems
from tests.support.environment import missing
from tests.support.herald.process import HeraldProcess
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.rabbitmq import rabbitmq
from tests.support.servers.redis import PrivateValkey
from tests.support.servers.redis_connections import redis_by_tls
from tests.support.wait import wait_until

pytestmark = pytest.mark.timeout(240)


def visited(
    url: str, backend: str | None = None, store: str | None = None
) -> InstallationFacts:
    """Return what `herald doctor` finds."""
    app = make_app(url, backend)
    given: dict[str, Any] = {"store_url": store} if store else {}
    return asyncio.run(collect(MonitorSettings(**given), app, store=bool(store)))


def codes(facts: InstallationFacts) -> set[str]:
    return {one.code for one in find_problems(facts) if one.level == "error"}


def user(server: PrivateValkey, name: str, *rights: str) -> str:
    """Make a user, and return the server's URL for it."""
    with server.client() as plain:
        words = ("ACL", "SETUSER", name, "reset", "on", ">pw", *rights)
        cast(Any, plain).execute_command(*words)
    return server.url.replace("//", f"//{name}:pw@")


ALL = ("~*", "&*", "+@all")


def test_a_wrong_password_and_a_missing_one(valkey: PrivateValkey) -> None:
    user(valkey, "app", *ALL)
    user(valkey, "default", "~*", "&*", "+@all")
    for login in ("app:wrong@", "nobody:pw@", ""):
        url = valkey.url.replace("//", f"//{login}")
        facts = visited(url, url, url)
        assert facts.broker.kind == KIND_LOGIN, facts
        told = {f"{what}_login" for what in ("broker", "result_backend", "store")}
        assert codes(facts) == told
        assert "USER:PASSWORD" in facts.broker.fix


MISSING: list[tuple[tuple[str, ...], set[str]]] = [
    (("-info",), {"store_rights"}),
    (("-@dangerous", "-@admin"), {"store_rights"}),
    (("-client",), set()),
    (("-config", "-keys", "-scan"), set()),
    (("-publish",), {"workers_unasked"}),
    (("-psubscribe",), {"workers_unasked"}),
    (("-mget",), {"result_backend_rights"}),
    (("-ping",), {"broker_rights"}),
]
"""Rights that are taken away, and the findings that are left."""


@pytest.fixture(scope="module")
def without_rights(
    module_valkey: PrivateValkey,
) -> dict[tuple[str, ...], InstallationFacts]:
    """What is found without some rights. Each visit waits 4 s for workers."""
    users = [
        user(module_valkey, f"app-{number}", *ALL, *taken)
        for number, (taken, _) in enumerate(MISSING)
    ]
    with ThreadPoolExecutor(len(users)) as pool:
        found = pool.map(visited, users, users, users)
        return {taken: facts for (taken, _), facts in zip(MISSING, found, strict=True)}


@pytest.mark.parametrize(("taken", "left"), MISSING)
def test_a_right_that_is_missing_is_named(
    without_rights: dict[tuple[str, ...], InstallationFacts],
    taken: tuple[str, ...],
    left: set[str],
) -> None:
    facts = without_rights[taken]
    said = find_problems(facts)
    assert not any("start it" in one.fix for one in said), said
    errors = [one for one in said if one.level == "error"]
    if taken == ("-psubscribe",) and not facts.workers:
        return  # Heartbeats are listened to where a worker answers.
    assert {one.code for one in errors} == left
    word = "INFO" if "store_rights" in left else taken[0].strip("-").upper()
    assert all(f"{word} is not allowed for this user" in one.message for one in errors)


def test_without_info_it_is_said_what_is_not_seen(valkey: PrivateValkey) -> None:
    url = user(valkey, "app", *ALL, "-info")
    facts = visited(url, url)
    assert facts.broker.is_reachable
    [note] = [one for one in find_problems(facts) if one.code == "broker_unseen"]
    assert "INFO is not allowed for this user" in note.message
    assert "maxmemory-policy" in note.message


def test_keys_that_are_not_allowed(valkey: PrivateValkey) -> None:
    url = user(valkey, "app", "~others*", "&*", "+@all")
    facts = visited(url, url)
    assert facts.backend is not None
    assert facts.backend.kind == KIND_RIGHTS
    assert "a key" in facts.backend.problem


def test_nobody_listens_and_no_such_name(tmp_path: Path) -> None:
    for url in ("redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//"):
        facts = visited(url)
        assert (facts.broker.kind, facts.broker.fix[:8]) == (KIND_ABSENT, "start it")
    where = f"redis+socket://{tmp_path}/none.sock"
    facts = visited(where, where)
    assert facts.backend
    assert (facts.broker.kind, facts.backend.kind) == (KIND_ABSENT, KIND_ABSENT)
    assert "no such socket" in facts.broker.problem
    assert visited("redis://no-such-host.invalid/0").broker.kind == KIND_UNKNOWN_NAME


def test_no_answer_in_time(
    valkey: PrivateValkey, proxy: Callable[[str], Proxy]
) -> None:
    line = proxy(valkey.url)
    line.black_hole()
    facts = visited(line.url)
    assert facts.broker.kind == KIND_SILENT
    assert "firewall" in facts.broker.fix


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A Redis by TLS that wants certificates of its clients."""
    with redis_by_tls(tmp_path_factory.mktemp("tls"), of_clients=True) as found:
        yield found


def test_tls_that_does_not_match(
    secured: tuple[int, Path], valkey: PrivateValkey
) -> None:
    port, authority = secured
    by_tls = valkey.url.replace("redis://", "rediss://")
    unknown = f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=required"
    asked: list[tuple[str, str | None, str | None]] = [
        (f"{by_tls}?ssl_cert_reqs=none", None, by_tls),
        (f"redis://127.0.0.1:{port}/0", None, None),
        (unknown, None, None),
        (f"{unknown}&ssl_ca_certs={authority}", None, None),
    ]
    with ThreadPoolExecutor(len(asked)) as pool:
        found = pool.map(visited, *zip(*asked, strict=True))
        mismatch, plain, untrusted, without = found
    assert mismatch.broker.kind == KIND_TLS, mismatch.broker
    assert mismatch.store
    assert mismatch.store.kind in (KIND_TLS, KIND_SILENT), (
        "it waits for the end of a command"
    )
    assert "TLS" in mismatch.store.fix
    assert plain.broker.kind == KIND_OTHER
    assert "rediss://" in plain.broker.fix
    assert "not trusted" in untrusted.broker.problem
    place = without.broker
    assert "certificate of the client" in place.problem, place
    assert "ssl_certfile" in place.fix


# -- RabbitMQ ------------------------------------------------------------------------


def rabbitmqctl(*words: str) -> None:
    """Do what an administrator does."""
    done = subprocess.run(
        ["rabbitmqctl", "-q", *words], capture_output=True, timeout=30, check=False
    )
    if done.returncode:
        missing(f"rabbitmqctl ({done.stderr.decode()})")


@pytest.fixture
def somebody() -> Iterator[tuple[str, str]]:
    """A user with few rights, and the URL of a virtual host for it."""
    with rabbitmq() as url:
        parts = urlsplit(url)
        vhost, name = parts.path[1:], f"u-{parts.path[-8:]}"
        rabbitmqctl("add_user", name, "pw")
        try:
            host = parts.netloc.rpartition("@")[2]
            yield vhost, urlunsplit(parts._replace(netloc=f"{name}:pw@{host}"))
        finally:
            rabbitmqctl("delete_user", name)


@pytest.mark.rabbitmq
def test_what_rabbitmq_refuses(somebody: tuple[str, str]) -> None:
    vhost, url = somebody
    name = urlsplit(url).username or ""
    assert visited(url.replace(":pw@", ":wrong@")).broker.kind == KIND_LOGIN
    no_vhost = visited(url).broker
    assert no_vhost.kind == KIND_LOGIN
    assert "set_permissions" in no_vhost.fix
    rabbitmqctl("set_permissions", "-p", vhost, name, "^$", "^$", ".*")
    facts = visited(url)
    assert facts.broker.is_reachable
    assert facts.unasked
    assert "access to" in facts.unasked[0]
    assert codes(facts) == {"workers_unasked"}


async def searched(backend: Any) -> Any:
    results = RedisResultReader(backend, lambda _: None)
    try:
        return [page.ids async for page in results.scan_pages()]
    finally:
        await results.close()


def test_where_nothing_may_be_scanned_nothing_is_found(
    valkey: PrivateValkey, caplog: pytest.LogCaptureFixture
) -> None:
    url = user(valkey, "app", *ALL, "-scan")
    backend = cast(Any, make_app(url, url)).backend
    assert asyncio.run(searched(backend)) == []
    assert "SCAN is not allowed for this user" in caplog.text


def test_health_says_why_events_are_not_heard(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    url = user(valkey, "app", *ALL, "-psubscribe")
    herald = HeraldProcess(tmp_path / "herald.log", "up", "--broker", url)
    herald.start()

    def says() -> bool:
        problem = herald.get("api/v1/health").get("problem") or ""
        return "PSUBSCRIBE is not allowed for this user" in problem

    wait_until(says, 30, "health says why")
    assert herald.stop()


def test_what_is_unknown_is_told_as_it_was_said() -> None:
    told = find_cause(redis.RedisError("LOADING the dataset"), "--store")
    assert told.format("the store").startswith("the store does not answer (LOADING")
    assert find_cause(RuntimeError(), "--store").reason == "RuntimeError"
