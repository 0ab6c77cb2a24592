"""Pages of other origins: preflights, and answers that their scripts may read."""

import pytest

from tests.support.clients.http import asking
from tests.support.herald.server import serving
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

PAGE = "https://app.example"
PATHS = ("/api/v1/tasks", "/events", "/mcp", "/herald.js", "/dashboard/herald.js")


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


def preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,mcp-session-id,content-type",
    }


@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_of_an_allowed_origin_needs_no_token(
    url: str, path: str
) -> None:
    async with serving(url, allowed_origins=PAGE) as server, asking(server, {}) as ask:
        answer = await ask.options(path, headers=preflight(PAGE))
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "mcp-session-id" in answer.headers["access-control-allow-headers"]
    assert "DELETE" in answer.headers["access-control-allow-methods"]


async def test_an_allowed_page_may_read_answers_and_refusals(url: str) -> None:
    async with serving(url, allowed_origins=f"{PAGE}/") as server:
        async with asking(server) as ask:
            answer = await ask.get("/api/v1/stats", headers={"Origin": PAGE})
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert "origin" in answer.headers["vary"].lower()
            exposed = answer.headers["access-control-expose-headers"]
            assert "Mcp-Session-Id" in exposed
        async with asking(server, {}) as ask:
            for path in ("/api/v1/stats", "/mcp"):
                answer = await ask.get(path, headers={"Origin": PAGE})
                assert answer.status_code == 401
                assert answer.headers["access-control-allow-origin"] == PAGE


async def test_a_page_of_another_origin_may_read_nothing(url: str) -> None:
    evil = "https://evil.example"
    async with serving(url, allowed_origins=PAGE) as server, asking(server) as ask:
        answer = await ask.options("/api/v1/tasks", headers=preflight(evil))
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers
        answer = await ask.get("/api/v1/stats", headers={"Origin": evil})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


async def test_without_allowed_origins_no_page_elsewhere_may_read(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        answer = await ask.get("/herald.js", headers={"Origin": PAGE})
        assert answer.status_code == 403
        answer = await ask.get("/herald.js")
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


async def test_any_origin_may_be_allowed(url: str) -> None:
    async with serving(url, allowed_origins="*") as server, asking(server) as ask:
        answer = await ask.get("/herald.js", headers={"Origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
