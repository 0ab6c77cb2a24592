"""An MCP client that gets its token by OAuth, with a user who agrees at once."""

from __future__ import annotations

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


def authorize(url: str, storage: MemoryStorage) -> OAuthClientProvider:
    """Return what authorizes requests to the MCP server at `url`."""
    answers: list[str] = []

    async def visit(address: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as browser:
            answers.append((await browser.get(address)).headers["location"])

    async def read_answer() -> AuthorizationCodeResult:
        told = parse_qs(urlsplit(answers.pop()).query)
        return AuthorizationCodeResult(
            code=told["code"][0], state=told["state"][0], iss=told["iss"][0]
        )

    metadata = OAuthClientMetadata(
        client_name="a test", redirect_uris=[AnyUrl(REDIRECT)]
    )
    return OAuthClientProvider(url, metadata, storage, visit, read_answer)
