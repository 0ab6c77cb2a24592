"""The authorization server of MCP clients, in front of a provider."""

from collections.abc import Mapping

import pytest
from fastmcp.server.auth.oidc_proxy import OIDCProxy
from mcp.server.auth.provider import RefreshToken, TokenError
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyUrl

from herald_core.store.key_value import MemoryKeyValueStore
from herald_server.auth.audit import AuditLog
from herald_server.auth.oauth_proxy.items import ProxyItems
from herald_server.auth.oauth_proxy.provider import McpProxy, choose_method
from herald_server.auth.oauth_proxy.tokens import ProxiedTokens
from herald_server.auth.sso.cookies import SsoCipher
from herald_server.auth.sso.mapping import Person
from herald_server.auth.sso.oidc import OidcProvider
from herald_server.auth.sso.provider_endpoints import LoginFailed, ProviderMetadata
from herald_server.auth.sso.settings import OidcSettings, SsoGroup, SsoSettings

pytestmark = pytest.mark.anyio

SECRET = "a-secret-of-the-tests"
OIDC = OidcSettings(issuer="https://p.test", client_id="herald", client_secret="s")
METADATA = ProviderMetadata(
    "https://p.test", "https://p.test/a", "https://p.test/t", "https://p.test/k"
)
GROUPS = (SsoGroup("sre", frozenset(["read"])),)
TOKENS = ProxiedTokens("https://herald.test", SECRET, GROUPS, ["read"])
REDIRECT = AnyUrl("http://127.0.0.1:1/callback")
CLIENT = OAuthClientInformationFull(client_id="c1", redirect_uris=[REDIRECT])


class Provider(OidcProvider):
    """A provider that knows one person, or nobody."""

    def __init__(self, name: str) -> None:
        super().__init__(OIDC)
        self._name = name

    async def identify(self, told: Mapping[str, object]) -> Person:
        if not self._name:
            raise LoginFailed("the ID token is not valid")
        return Person(self._name, ("sre", "sales"))


def make_proxy(name: str = "ann") -> McpProxy:
    store = MemoryKeyValueStore()
    made = McpProxy(
        Provider(name),
        METADATA,
        SsoSettings(groups=GROUPS, oidc=OIDC, mcp_proxy=True),
        TOKENS,
        ProxyItems(store, SsoCipher(SECRET)),
        ["read", "admin"],
        AuditLog(store),
    )
    made.set_mcp_path("/mcp")
    return made


def sign_refresh(proxy: McpProxy, name: str) -> RefreshToken:
    person = TOKENS.write_claims(Person(name, ("sre",)))
    token = proxy.jwt_issuer.issue_refresh_token("c1", ["read"], "j1", 60, person)
    return RefreshToken(token=token, client_id="c1", scopes=["read"])


@pytest.mark.parametrize(("name", "is_taken"), [("ann", True), ("bob", False)])
async def test_the_next_token_is_of_the_same_person(
    name: str, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = make_proxy()

    async def exchange(*_: object) -> OAuthToken:
        claims = TOKENS.write_claims(Person(name, ("sre",)))
        token = proxy.jwt_issuer.issue_access_token("c1", ["read"], "j2", 60, claims)
        return OAuthToken(access_token=token)

    monkeypatch.setattr(OIDCProxy, "exchange_refresh_token", exchange)
    before = sign_refresh(proxy, "ann")
    if is_taken:
        made = await proxy.exchange_refresh_token(CLIENT, before, ["read"])
        assert TOKENS.verify(made.access_token, 0.0).name == "oauth:ann"
        return
    with pytest.raises(TokenError) as told:
        await proxy.exchange_refresh_token(CLIENT, before, ["read"])
    assert told.value.error_description == "the provider answered about somebody else"


async def test_a_client_may_request_every_scope_later() -> None:
    proxy = make_proxy()
    await proxy.register_client(CLIENT.model_copy(update={"scope": "read"}))
    known = await proxy.get_client("c1")
    assert known is not None
    assert known.scope == "read admin"


async def test_scopes_of_this_server_are_not_sent_to_the_provider() -> None:
    proxy = make_proxy()
    url = proxy._build_upstream_authorize_url("t", {"scopes": ["read", "admin"]})  # pyright: ignore[reportPrivateUsage]
    assert "scope=openid+profile+email" in url
    assert "redirect_uri=https%3A%2F%2Fherald.test%2Foauth%2Fcallback" in url


def test_it_proves_who_it_is_as_the_provider_wants() -> None:
    post = ProviderMetadata(
        *("https://p.test", "https://p.test/a", "https://p.test/t", "https://p.test/k"),
        token_endpoint_auth_methods_supported=("client_secret_post",),
    )
    assert choose_method(OIDC, METADATA) == "client_secret_basic"
    assert choose_method(OIDC, post) == "client_secret_post"
    public = OidcSettings(issuer="https://p.test", client_id="herald")
    assert choose_method(public, METADATA) == "none"
