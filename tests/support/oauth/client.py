"""An MCP client that gets its token by OAuth, with a user who agrees."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl

REDIRECT = "http://127.0.0.1:1/callback"


class MemoryStorage(TokenStorage):
    """Keeps what a client was given."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """Return the token."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep a token."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return the registration."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep a registration."""
        self.client = client_info


Visit = Callable[[str], Awaitable[str]]
"""Opens an address as a user does, and returns where that ends at the client."""


async def visit_once(address: str) -> str:
    """Open `address`, where nothing is asked."""
    async with httpx2.AsyncClient(trust_env=False) as browser:
        return str((await browser.get(address)).headers["location"])


def visit_as(name: str, pages: list[str]) -> Visit:
    """Return what agrees on Herald's page, and signs in at the provider as `name`.

    What the page says is appended to `pages`.
    """

    async def visit(address: str) -> str:
        async with httpx2.AsyncClient(trust_env=False) as browser:
            asked = await browser.get(address, follow_redirects=True)
            pages.append(asked.text)
            form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', asked.text))
            agreed = await browser.post(asked.url, data={**form, "action": "approve"})
            assert agreed.is_redirect, agreed.text
            signed = await browser.post(agreed.headers["location"], data={"sub": name})
            back = await browser.get(signed.headers["location"])
            return str(back.headers["location"])

    return visit


def authorize(
    url: str, storage: MemoryStorage, go: Visit = visit_once
) -> OAuthClientProvider:
    """Return what authorizes requests to the MCP server at `url`."""
    answers: list[str] = []

    async def visit(address: str) -> None:
        answers.append(await go(address))

    async def read_answer() -> AuthorizationCodeResult:
        told = parse_qs(urlsplit(answers.pop()).query)
        return AuthorizationCodeResult(
            code=told["code"][0], state=told["state"][0], iss=told["iss"][0]
        )

    metadata = OAuthClientMetadata(
        client_name="a test", redirect_uris=[AnyUrl(REDIRECT)]
    )
    return OAuthClientProvider(url, metadata, storage, visit, read_answer)
