"""The table [sso] of a herald.toml."""

import tomllib
from pathlib import Path

import pytest

from herald_core.errors import InvalidInput
from herald_server.auth.sso.passwords import hash_password, is_password
from herald_server.auth.sso.settings import (
    SsoSettings,
    parse_sso_settings,
    read_sso_settings,
)

OIDC = 'issuer = "https://login.example.org"\nclient_id = "herald"\n'
GROUPS = '[groups]\nsre = ["read", "admin"]\n'


def parse(text: str, **env: str) -> SsoSettings:
    return parse_sso_settings(tomllib.loads(text), env)


def test_without_a_table_nobody_signs_in(tmp_path: Path) -> None:
    path = tmp_path / "herald.toml"
    path.write_text("")
    assert not read_sso_settings(path).is_used
    assert not read_sso_settings(None).is_used


def test_a_provider_and_its_groups() -> None:
    text = OIDC + 'client_secret_env = "S"\n' + GROUPS
    text += 'dev = { scopes = ["read"], only = { name = "reports.*" } }'
    found = parse(text, S="secret")
    assert found.oidc is not None
    assert (found.oidc.client_secret, found.oidc.name_claim) == ("secret", "sub")
    assert [one.name for one in found.groups] == ["sre", "dev"]
    assert found.groups[0].only is None
    assert found.groups[1].only is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "unknown key 'colour'"),
        (GROUPS, "needs issuer, proxy or users"),
        (OIDC, "needs groups"),
        ('issuer = "http://x.example"\nclient_id = "h"\n' + GROUPS, "must be https"),
        ('issuer = "https://x.example"\n' + GROUPS, "client_id must be a text"),
        (OIDC + 'client_secret_env = "NO"\n' + GROUPS, "variable NO is not set"),
        (OIDC + 'scopes = ["email"]\n' + GROUPS, 'list with "openid"'),
        (OIDC + 'session = "1s"\n' + GROUPS, "session must be a duration"),
        ('proxy = "yes"\n' + GROUPS, "proxy must be true or false"),
        (OIDC + "mcp_proxy = 1\n" + GROUPS, "mcp_proxy must be true or false"),
        ("proxy = true\nmcp_proxy = true\n" + GROUPS, "needs issuer and client_id"),
        (OIDC + 'mcp_redirects = ["*"]\n' + GROUPS, "mcp_redirects must be a list"),
        (OIDC + "[groups]\nsre = 1", "groups.sre must be a list"),
        (OIDC + '[groups]\nsre = ["rule"]', "scopes must be a list of read"),
        (OIDC + '[groups]\nsre = { scopes = ["read"], only = {} }', "only must be"),
        (GROUPS + "[users]\nann = 1", "users.ann must be a table"),
        (GROUPS + '[users.ann]\npassword = "plain"', "password must be a hash"),
    ],
)
def test_a_mistake_gets_a_sentence(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse(text)


def test_a_user_must_be_in_a_known_group() -> None:
    user = f'[users.ann]\npassword = "{hash_password("x")}"\ngroups = ["dev"]'
    with pytest.raises(InvalidInput, match=r"groups must be a list of \[sso.groups\]"):
        parse(GROUPS + user)


def test_a_hash_knows_its_password() -> None:
    hashed = hash_password("s3cret")
    assert is_password("s3cret", hashed)
    assert not is_password("guess", hashed)
    assert hashed != hash_password("s3cret")
