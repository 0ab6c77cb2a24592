"""Asking a server over HTTP, and being refused by it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.support.herald.server import Server
from tests.support.herald.uvicorn_server import TOKEN

PROBLEM = "application/problem+json"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def asking(
    server: Server, headers: dict[str, str] | None = None
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Ask `server`, with a token if nothing else is said."""
    given = WITH_TOKEN if headers is None else headers
    async with httpx2.AsyncClient(
        base_url=server.url, headers=given, trust_env=False
    ) as client:
        yield client


def told(answer: httpx2.Response) -> dict[str, Any]:
    """Return the body, without that no monitor writes to the test's store."""
    body: dict[str, Any] = answer.json()
    body.pop("stale", None)
    return body


def refused(answer: httpx2.Response, status: int, sentence: str) -> None:
    """Check that an answer is a problem document that says `sentence`."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert body.keys() == {"type", "title", "status", "detail"}
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert sentence in body["detail"]
