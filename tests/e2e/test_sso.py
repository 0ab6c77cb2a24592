"""Sign-in over HTTP: a provider of OpenID Connect, a proxy, a password."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from herald_core.store.memory.store import MemoryStore
from herald_server.auth.sso.passwords import hash_password
from tests.support.herald.server import Server, serving
from tests.support.sso.provider import run_provider

pytestmark = pytest.mark.anyio

OWN = {"X-Herald-Request": "1"}
PEOPLE = {"ann": ["sre"], "bob": ["dev"], "eve": ["sales"]}
GROUPS = """
[sso.groups]
sre = ["read", "cancel", "admin"]
dev = { scopes = ["read"], only = { name = "reports.*" } }
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_TEST_SSO_SECRET", "a secret of the tests")


@pytest.fixture(scope="module")
def issuer() -> Generator[str]:
    with run_provider(PEOPLE) as url:
        yield url


@asynccontextmanager
async def sign_in_server(
    folder: Path, table: str, **settings: Any
) -> AsyncGenerator[tuple[Server, httpx2.AsyncClient]]:
    """Serve with single sign-on, to a client that keeps cookies as a browser does."""
    path = folder / "herald.toml"
    path.write_text(f"[sso]\n{table}\n{GROUPS}")
    async with (
        serving("", store=MemoryStore(), catalog=path, **settings) as server,
        httpx2.AsyncClient(base_url=server.url, trust_env=False) as browser,
    ):
        yield server, browser


def make_table(issuer: str) -> str:
    return (
        f'issuer = "{issuer}"\nclient_id = "herald"\nsession = "1h"\n'
        'client_secret_env = "HERALD_TEST_SSO_SECRET"'
    )


async def sign_in(browser: httpx2.AsyncClient, name: str) -> httpx2.Response:
    """Sign in at the provider, and return the answer of the callback."""
    begun = await browser.get("/auth/login")
    assert begun.status_code == 302, begun.text
    async with httpx2.AsyncClient(trust_env=False) as elsewhere:
        signed = await elsewhere.post(begun.headers["location"], data={"sub": name})
    return await browser.get(signed.headers["location"])


async def read_caller(browser: httpx2.AsyncClient) -> object:
    return (await browser.get("/auth/session")).json()["caller"]


async def test_a_person_of_a_group_gets_its_scopes(issuer: str, tmp_path: Path) -> None:
    async with sign_in_server(tmp_path, make_table(issuer)) as (_, browser):
        assert await read_caller(browser) is None
        answer = await sign_in(browser, "ann")
        assert (answer.status_code, answer.headers["location"][-1]) == (302, "/")
        cookie = answer.headers.get_list("set-cookie")[0]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        page = (await browser.get("/api/v1/page")).json()
        assert page["caller"] == {
            "name": "sso:ann", "scopes": ["admin", "cancel", "read"], "narrowed": False,
        }  # fmt: skip


async def test_a_group_can_be_narrowed(issuer: str, tmp_path: Path) -> None:
    async with sign_in_server(tmp_path, make_table(issuer)) as (server, browser):
        await sign_in(browser, "bob")
        await server.tell("received", "a", name="reports.make")
        await server.tell("received", "b", name="mail.send")
        tasks = (await browser.get("/api/v1/tasks")).json()["tasks"]
        assert [task["id"] for task in tasks] == ["a"]


async def test_a_wrong_group_sees_nothing(issuer: str, tmp_path: Path) -> None:
    async with sign_in_server(tmp_path, make_table(issuer)) as (_, browser):
        answer = await sign_in(browser, "eve")
        assert answer.status_code == 403
        assert "none of the groups" in answer.text
        assert (await browser.get("/api/v1/tasks")).status_code == 401
        assert await read_caller(browser) is None


async def test_the_answer_to_another_browser_is_refused(
    issuer: str, tmp_path: Path
) -> None:
    async with sign_in_server(tmp_path, make_table(issuer)) as (server, browser):
        begun = await browser.get("/auth/login")
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        path = f"/auth/callback?code=x&state={state}"
        async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as other:
            assert (await other.get(path)).status_code == 400
        wrong = await browser.get("/auth/callback?code=x&state=other")
        assert wrong.status_code == 400
        assert "not begun in this browser" in wrong.text


async def test_another_page_cannot_use_the_session(issuer: str, tmp_path: Path) -> None:
    async with sign_in_server(tmp_path, make_table(issuer)) as (server, browser):
        await sign_in(browser, "ann")
        path = "/api/v1/tasks/t1/cancel"
        assert (await browser.post(path)).status_code == 401
        foreign = {**OWN, "Origin": "https://evil.example"}
        assert (await browser.post(path, headers=foreign)).status_code == 403
        own = {**OWN, "Origin": server.url.rstrip("/")}
        assert (await browser.post(path, headers=own)).status_code == 503


async def test_the_session_is_renewed_and_ended(issuer: str, tmp_path: Path) -> None:
    async with sign_in_server(tmp_path, make_table(issuer)) as (_, browser):
        await sign_in(browser, "ann")
        old = dict(browser.cookies)
        renewed = await browser.post("/auth/refresh", headers=OWN)
        assert renewed.json()["caller"] == "sso:ann"
        ended = await browser.post("/auth/logout", headers=OWN)
        assert ended.json()["url"].startswith(issuer)
        assert await read_caller(browser) is None
        cookie = "; ".join(f"{name}={value}" for name, value in old.items())
        again = await browser.get("/api/v1/tasks", headers={"Cookie": cookie})
        assert again.status_code == 401


async def test_a_websocket_takes_the_cookie_from_its_own_page(
    issuer: str, tmp_path: Path
) -> None:
    async with sign_in_server(tmp_path, make_table(issuer)) as (server, browser):
        await sign_in(browser, "ann")
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items())}
        own = Origin(server.url.rstrip("/"))
        async with connect(
            server.ws,
            additional_headers=headers,
            origin=own,
            proxy=None,
        ) as socket:
            assert '"hello"' in str(await socket.recv())
        async with connect(server.ws, additional_headers=headers, proxy=None) as socket:
            await socket.send('{"type":"subscribe","id":"s"}')
            with pytest.raises(ConnectionClosed):
                await socket.recv()


PROXY = "proxy = true"


async def test_a_proxy_says_who_it_is(tmp_path: Path) -> None:
    async with sign_in_server(tmp_path, PROXY, proxy_headers=("127.0.0.1",)) as (
        _,
        browser,
    ):
        headers = {"X-Forwarded-User": "ann", "X-Forwarded-Groups": "sales, sre"}
        page = await browser.get("/api/v1/page", headers=headers)
        assert page.json()["caller"]["name"] == "sso:ann"
        wrong = {"X-Forwarded-User": "eve", "X-Forwarded-Groups": "sales"}
        assert (await browser.get("/api/v1/page", headers=wrong)).status_code == 401
        far = {**headers, "X-Forwarded-For": "10.1.2.3"}
        assert (await browser.get("/api/v1/page", headers=far)).status_code == 200


@pytest.mark.parametrize("proxies", [("10.0.0.0/8",), ("*",)])
async def test_a_forged_header_is_ignored(
    tmp_path: Path, proxies: tuple[str, ...]
) -> None:
    async with sign_in_server(tmp_path, PROXY, proxy_headers=proxies) as (_, browser):
        headers = {
            "X-Forwarded-User": "ann",
            "X-Forwarded-Groups": "sre",
            "X-Forwarded-For": "10.0.0.1",
        }
        assert (await browser.get("/api/v1/page", headers=headers)).status_code == 401


async def test_a_password_is_the_small_choice(tmp_path: Path) -> None:
    table = f'[sso.users.ann]\npassword = "{hash_password("s3cret")}"\ngroups = ["sre"]'
    async with sign_in_server(tmp_path, table) as (_, browser):
        asked = await browser.get("/auth/password")
        assert asked.status_code == 401
        assert asked.headers["www-authenticate"].startswith("Basic ")
        wrong = await browser.get("/auth/password", auth=("ann", "guess"))
        assert wrong.status_code == 401
        right = await browser.get("/auth/password", auth=("ann", "s3cret"))
        assert right.status_code == 302
        assert await read_caller(browser) == "sso:ann"
        ended = await browser.post("/auth/logout", headers=OWN)
        assert ended.json() == {"url": ""}
        again = await browser.get("/auth/password", auth=("ann", "s3cret"))
        assert again.status_code == 302
        assert await read_caller(browser) == "sso:ann"


async def test_without_single_sign_on_nobody_is_asked(tmp_path: Path) -> None:
    async with (
        serving("", store=MemoryStore()) as server,
        httpx2.AsyncClient(base_url=server.url, trust_env=False) as browser,
    ):
        told = (await browser.get("/auth/session")).json()
        assert told == {"methods": [], "caller": None}
        assert (await browser.get("/auth/login")).status_code == 404
