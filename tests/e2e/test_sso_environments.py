"""Single sign-on in an environment besides the default one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from herald_core.store.memory.store import MemoryStore
from herald_server.auth.sso.passwords import hash_password
from tests.support.herald.server import Server, serving
from tests.support.servers.redis import PrivateValkey
from tests.support.sso.provider import run_provider
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

OWN = {"X-Herald-Request": "1"}
STAGING = "/env/staging"
SHARED = """
[sso.groups]
sre = { scopes = ["read", "admin"], environments = ["default", "staging"] }
dev = ["read"]
"""
ANN = f"""
[sso.users.ann]
password = "{hash_password("s3cret")}"
groups = ["sre"]
[sso.users.bob]
password = "{hash_password("s3cret")}"
groups = ["dev"]
"""


@contextlib.asynccontextmanager
async def both(
    valkey: PrivateValkey, folder: Path, table: str, own: str = ""
) -> AsyncGenerator[tuple[Server, httpx2.AsyncClient]]:
    """Serve two environments: `table` is in the herald.toml of the server, and `own` in
    that of staging."""
    staging = {"broker": valkey.url, "store": valkey.url}
    if own:
        (folder / "staging.toml").write_text(own)
        staging["catalog"] = str(folder / "staging.toml")
    given: dict[str, Any] = {"environments": {"staging": staging}}
    if table:
        given["catalog"] = folder / "herald.toml"
        given["catalog"].write_text(table)
    async with (
        serving("", store=MemoryStore(), **given) as server,
        httpx2.AsyncClient(base_url=server.url, trust_env=False) as browser,
    ):
        [hosted] = server.app.state.hosted
        await wait_until_async(lambda: hosted.app is not None, 30, "staging is served")
        yield server, browser


async def sign_in(browser: httpx2.AsyncClient, place: str, name: str) -> int:
    """Sign in with a password; return the status."""
    answer = await browser.get(f"{place}/auth/password", auth=(name, "s3cret"))
    return answer.status_code


async def read_caller(browser: httpx2.AsyncClient, place: str) -> object:
    return (await browser.get(f"{place}/auth/session")).json()["caller"]


async def test_an_environment_signs_people_in_by_its_own_table(
    module_valkey: PrivateValkey, tmp_path: Path
) -> None:
    own = f'[sso]\n[sso.groups]\nsre = ["read", "admin"]\ndev = ["read"]\n{ANN}'
    async with both(module_valkey, tmp_path, "", own) as (_, browser):
        assert await sign_in(browser, "", "ann") == 404
        assert await sign_in(browser, STAGING, "ann") == 302
        assert await read_caller(browser, STAGING) == "sso:ann"
        answer = await browser.get(f"{STAGING}/api/v1/tasks")
        assert answer.status_code == 200
        assert (await browser.get("/api/v1/tasks")).status_code == 401


async def test_the_table_of_the_server_is_for_the_environments_of_its_groups(
    module_valkey: PrivateValkey, tmp_path: Path
) -> None:
    async with both(module_valkey, tmp_path, f"[sso]\n{SHARED}{ANN}") as (_, browser):
        assert await sign_in(browser, "", "bob") == 302
        assert await sign_in(browser, STAGING, "bob") == 401
        assert await read_caller(browser, STAGING) is None
        assert await sign_in(browser, STAGING, "ann") == 302
        # Each has a session of its own, and ends alone.
        assert await read_caller(browser, "") == "sso:bob"
        assert await read_caller(browser, STAGING) == "sso:ann"
        ended = await browser.post(f"{STAGING}/auth/logout", headers=OWN)
        assert ended.status_code == 200
        assert await read_caller(browser, STAGING) is None
        assert await read_caller(browser, "") == "sso:bob"


async def test_a_session_of_one_environment_is_none_of_another(
    module_valkey: PrivateValkey, tmp_path: Path
) -> None:
    async with both(module_valkey, tmp_path, f"[sso]\n{SHARED}{ANN}") as (_, browser):
        await sign_in(browser, "", "ann")
        session = browser.cookies["herald-session"]
        for name in ("herald-session", "herald-session-staging"):
            headers = {"Cookie": f"{name}={session}"}
            answer = await browser.get(f"{STAGING}/api/v1/tasks", headers=headers)
            assert answer.status_code in (401, 403), name


async def test_a_provider_sends_people_back_to_their_environment(
    module_valkey: PrivateValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERALD_TEST_SSO_SECRET", "a secret of the tests")
    with run_provider({"ann": ["sre"], "bob": ["dev"]}) as issuer:
        table = (
            f'[sso]\nissuer = "{issuer}"\nclient_id = "herald"\n'
            f'client_secret_env = "HERALD_TEST_SSO_SECRET"\n{SHARED}'
        )
        async with both(module_valkey, tmp_path, table) as (server, browser):
            statuses = {
                name: await visit_provider(browser, name) for name in ("bob", "ann")
            }
            assert statuses == {"bob": 403, "ann": 302}
            assert await read_caller(browser, STAGING) == "sso:ann"
            renewed = await browser.post(f"{STAGING}/auth/refresh", headers=OWN)
            assert renewed.json()["caller"] == "sso:ann"
            ended = await browser.post(f"{STAGING}/auth/logout", headers=OWN)
            assert "%2Fenv%2Fstaging%2F" in ended.json()["url"]
            assert server.url


async def visit_provider(browser: httpx2.AsyncClient, name: str) -> int:
    """Sign in to staging at the provider; return the status of the callback."""
    begun = await browser.get(f"{STAGING}/auth/login")
    async with httpx2.AsyncClient(trust_env=False) as elsewhere:
        signed = await elsewhere.post(begun.headers["location"], data={"sub": name})
    assert f"{STAGING}/auth/callback?" in signed.headers["location"]
    return (await browser.get(signed.headers["location"])).status_code
