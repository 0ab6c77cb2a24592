"""Single sign-on in a herald.toml.

[sso]
issuer = "https://login.example.org"
client_id = "herald"
client_secret_env = "HERALD_SSO_SECRET"    # without it: a public client
scopes = ["openid", "profile", "groups"]
groups_claim = "groups"
name_claim = "email"                       # by default "sub"
session = "1h"
proxy = true                               # X-Forwarded-User of HERALD_PROXY_HEADERS
mcp_proxy = true                           # MCP clients sign their users in here
mcp_redirects = ["https://claude.ai/api/mcp/auth_callback"]

[sso.groups]
sre = ["read", "cancel", "admin"]
dev = { scopes = ["read"], only = { name = "reports.*" } }
ops = { scopes = ["read"], environments = ["default", "staging"] }

[sso.users.ann]
password = "scrypt:…"                      # `herald token --password` makes it
groups = ["sre"]
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.filters import Filter, parse_token_filter
from herald_core.model.queries.moments import parse_duration_s
from herald_core.system.toml_tables import read_toml_table
from herald_server.auth.identity import DEFAULT_ENVIRONMENT, LOOPBACK, SCOPES
from herald_server.auth.sso.passwords import check_password_hash
from herald_server.auth.sso.redirects import parse_redirects
from herald_server.auth.tokens.static import parse_environments

TABLE_KEYS = {
    "issuer": "The provider of OpenID Connect, `https://…`",
    "client_id": "The id of Herald at the provider",
    "client_secret_env": "The variable with the secret of that client; without one "
    "Herald is a public client",
    "scopes": "What is requested of the provider; `openid profile email` by default",
    "groups_claim": "The claim that lists a person's groups; `groups` by default",
    "name_claim": "The claim that names a person; `sub` by default",
    "session": "How long a session lasts, 1m to 7d; 1h by default",
    "proxy": "`true`: people are named by headers of the proxies in "
    "HERALD_PROXY_HEADERS",
    "groups": "What the members of each group may do; the first group of a person "
    "counts",
    "users": "People with a password",
    "mcp_proxy": "`true`: this server is the authorization server of its MCP clients",
    "mcp_redirects": "Addresses to which the codes of MCP clients may be sent, besides "
    "the user's own machine; `*` is wild",
}
GROUP_KEYS = {
    "scopes": "What its members may do: `read`, `start`, `cancel`, `mark`, `admin`; "
    "the list alone may stand for the table",
    "only": 'A filter: the tasks that they see, such as `{ name = "reports.*" }`',
    "environments": "The environments in which they may do it; `default` by default",
}
USER_KEYS = {
    "password": "The hash of the password; `herald token --password` makes it",
    "groups": "The names of the groups",
}
"""The keys of each table, and what they mean."""

MIN_SESSION_S = 60.0
MAX_SESSION_S = 7 * 86_400.0
DEFAULT_SESSION_S = 3_600.0


class SsoGroup(msgspec.Struct, frozen=True):
    """What the members of a group may do, which tasks they see (None: all), and in
    which environments."""

    name: str
    scopes: frozenset[str]
    only: Filter | None = None
    environments: tuple[str, ...] = (DEFAULT_ENVIRONMENT,)


class SsoUser(msgspec.Struct, frozen=True):
    """A user with a password: its hash, and the names of the groups."""

    name: str
    password: str
    groups: tuple[str, ...]


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The provider of OpenID Connect, and this server as its client."""

    issuer: str
    client_id: str
    client_secret: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    name_claim: str = "sub"


class SsoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How people sign in. `groups` are in the order of the file: the first one counts.

    `session` is in seconds. `mcp_proxy`: this server is the authorization server of
    its MCP clients, which may be at `mcp_redirects` besides the user's own machine.
    """

    groups: tuple[SsoGroup, ...] = ()
    oidc: OidcSettings | None = None
    proxy: bool = False
    users: tuple[SsoUser, ...] = ()
    session: float = DEFAULT_SESSION_S
    mcp_proxy: bool = False
    mcp_redirects: tuple[str, ...] = ()

    @property
    def is_used(self) -> bool:
        """True if anybody can sign in."""
        return bool(self.groups and (self.oidc or self.proxy or self.users))

    def keep_groups(self, environment: str) -> SsoSettings:
        """Return these settings with the groups of one environment."""
        groups = tuple(one for one in self.groups if environment in one.environments)
        return msgspec.structs.replace(self, groups=groups)


def read_sso_settings(
    path: Path | None, env: Mapping[str, str] = os.environ
) -> SsoSettings:
    """Return the table `[sso]` of a herald.toml. Raises `InvalidInput`."""
    if path is None:
        return SsoSettings()
    table = read_toml_table(path, "sso", "a table [sso]")
    if not table:
        return SsoSettings()
    try:
        return parse_sso_settings(table, env)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: [sso] {error}") from None


def parse_sso_settings(
    table: Mapping[str, object], env: Mapping[str, str]
) -> SsoSettings:
    """Return the settings in a table. Raises `InvalidInput`."""
    _refuse_unknown(table, TABLE_KEYS)
    groups = tuple(
        _parse_group(name, given) for name, given in _get_table(table, "groups").items()
    )
    found = SsoSettings(
        groups=groups,
        oidc=_parse_oidc(table, env) if "issuer" in table else None,
        proxy=_parse_flag(table, "proxy"),
        users=tuple(
            _parse_user(name, given, groups)
            for name, given in _get_table(table, "users").items()
        ),
        session=_parse_session(table.get("session", DEFAULT_SESSION_S)),
        mcp_proxy=_parse_flag(table, "mcp_proxy"),
        mcp_redirects=parse_redirects(table.get("mcp_redirects", [])),
    )
    if not (found.oidc or found.proxy or found.users):
        raise InvalidInput("needs issuer, proxy or users: nobody could sign in")
    if not groups:
        raise InvalidInput(
            'needs groups, such as [sso.groups] with sre = ["read", "cancel"]: nobody'
            " could do anything"
        )
    if found.mcp_proxy and found.oidc is None:
        raise InvalidInput("mcp_proxy = true needs issuer and client_id")
    return found


def _parse_oidc(table: Mapping[str, object], env: Mapping[str, str]) -> OidcSettings:
    variable = table.get("client_secret_env")
    secret = env.get(str(variable), "") if variable else ""
    if variable and not secret:
        raise InvalidInput(f"client_secret_env: the variable {variable} is not set")
    return OidcSettings(
        issuer=_check_issuer(_parse_text(table, "issuer")),
        client_id=_parse_text(table, "client_id"),
        client_secret=secret,
        scopes=_parse_provider_scopes(table),
        groups_claim=_parse_text(table, "groups_claim", "groups"),
        name_claim=_parse_text(table, "name_claim", "sub"),
    )


def _check_issuer(issuer: str) -> str:
    place = urlsplit(issuer)
    is_plain = place.scheme == "http" and place.hostname in LOOPBACK
    if (place.scheme != "https" and not is_plain) or not place.netloc:
        raise InvalidInput("issuer must be https://…: its answers grant access")
    return issuer


def _parse_provider_scopes(table: Mapping[str, object]) -> tuple[str, ...]:
    given = table.get("scopes", ["openid", "profile", "email"])
    listed = cast("list[object]", given) if isinstance(given, list) else []
    if "openid" not in listed or not all(isinstance(one, str) for one in listed):
        raise InvalidInput('scopes must be a list with "openid"')
    return tuple(map(str, listed))


def _parse_group(name: str, given: object) -> SsoGroup:
    if isinstance(given, list):
        return SsoGroup(name, _parse_scopes(name, cast("list[object]", given)))
    if not isinstance(given, dict):
        raise InvalidInput(f'groups.{name} must be a list such as ["read"]')
    table = cast("dict[str, Any]", given)
    _refuse_unknown(table, GROUP_KEYS)
    only = table.get("only")
    if only is not None and (not isinstance(only, dict) or not only):
        raise InvalidInput(
            f'groups.{name}: only must be a filter such as {{ name = "reports.*" }}'
        )
    filter_ = None
    if only is not None:
        filter_ = parse_token_filter(cast("dict[str, object]", only))
    scopes = _parse_scopes(name, table.get("scopes"))
    environments = parse_environments(table.get("environments"))
    return SsoGroup(name, scopes, filter_, environments)


def _parse_scopes(name: str, given: object) -> frozenset[str]:
    listed = cast("list[object]", given) if isinstance(given, list) else []
    if not listed or not all(one in SCOPES for one in listed):
        known = ", ".join(SCOPES)
        raise InvalidInput(f"groups.{name}: scopes must be a list of {known}")
    return frozenset(map(str, listed))


def _parse_user(name: str, given: object, groups: tuple[SsoGroup, ...]) -> SsoUser:
    if not isinstance(given, dict) or ":" in name:
        raise InvalidInput(f"users.{name} must be a table, its name without a colon")
    table = cast("dict[str, Any]", given)
    _refuse_unknown(table, USER_KEYS)
    password = _parse_text(table, "password")
    check_password_hash(password)
    chosen = table.get("groups")
    listed = cast("list[object]", chosen) if isinstance(chosen, list) else []
    known = {one.name for one in groups}
    if not listed or not all(one in known for one in listed):
        raise InvalidInput(f"users.{name}: groups must be a list of [sso.groups]")
    return SsoUser(name, password, tuple(map(str, listed)))


def _parse_session(given: object) -> float:
    seconds: float | None = None
    if isinstance(given, str):
        seconds = parse_duration_s(given)
    elif isinstance(given, int | float) and not isinstance(given, bool):
        seconds = float(given)
    if seconds is None or not MIN_SESSION_S <= seconds <= MAX_SESSION_S:
        raise InvalidInput('session must be a duration such as "1h", 1m to 7d')
    return seconds


def _parse_flag(table: Mapping[str, object], key: str) -> bool:
    flag = table.get(key, False)
    if not isinstance(flag, bool):
        raise InvalidInput(f"{key} must be true or false")
    return flag


def _parse_text(table: Mapping[str, object], key: str, default: str = "") -> str:
    text = table.get(key, default)
    if not isinstance(text, str) or not text:
        raise InvalidInput(f"{key} must be a text")
    return text


def _get_table(table: Mapping[str, object], key: str) -> Mapping[str, object]:
    given = table.get(key, {})
    if not isinstance(given, dict):
        raise InvalidInput(f"{key} must be a table [sso.{key}]")
    return cast("dict[str, object]", given)


def _refuse_unknown(table: Mapping[str, object], keys: Mapping[str, str]) -> None:
    if unknown := sorted(table.keys() - keys.keys()):
        raise InvalidInput(
            f"unknown key {unknown[0][:40]!r}; it takes {', '.join(keys)}"
        )
