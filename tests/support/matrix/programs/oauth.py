"""OAuth of the `mcp` package, 1.x or 2.x, whichever a client brings."""

import importlib
from typing import Any

from journey import TOKEN, URL, User
from mcp.client.auth import OAuthClientProvider
from mcp.shared import auth as shared

try:
    http: Any = importlib.import_module("httpx2")
except ModuleNotFoundError:
    http = importlib.import_module("httpx")


class Storage:
    """Keeps what a client was given."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        """Return the token."""
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        """Keep a token."""
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        """Return the registration."""
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        """Keep a registration."""
        self.client = client_info


async def _get(url: str) -> str:
    async with http.AsyncClient(trust_env=False) as browser:
        return str((await browser.get(url)).headers["location"])


def make_auth() -> Any:
    """Return what authorizes requests by OAuth; None if there is a token."""
    if TOKEN:
        return None
    user = User(_get)
    result: Any = getattr(shared, "AuthorizationCodeResult", None)

    async def read_answer() -> Any:
        if result is not None:
            return result(**user.answer)
        return user.answer["code"], user.answer["state"]

    redirect: Any = "http://127.0.0.1:1/callback"
    metadata = shared.OAuthClientMetadata(
        client_name="matrix", redirect_uris=[redirect]
    )
    return OAuthClientProvider(URL, metadata, Storage(), user.visit, read_answer)


def make_headers() -> dict[str, str]:
    """Return the headers that authorize requests."""
    return {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
