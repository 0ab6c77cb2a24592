"""`herald token`: short-lived, task-scoped tokens, and hashes for a herald.toml."""

from __future__ import annotations

import asyncio
import getpass
import sys
import time
from typing import Any

import click
import msgspec

from herald_client import Herald, MintedToken
from herald_core.errors import InvalidInput
from herald_core.model.filters import HIDEABLE_FIELDS, KEYS, parse_filter
from herald_server.auth.identity import SCOPES, Identity, make_token
from herald_server.cli.client_options import (
    add_filter_options,
    environment_option,
    json_option,
    option,
    token_option,
    url_option,
)
from herald_server.cli.formatting import cut_first_line, format_table, to_json_line

COLUMNS = ("ID", "NAME", "SCOPES", "ONLY", "UNTIL")


@click.command()
@click.option("--read", is_flag=True, help="May read (default).")
@click.option("--start", is_flag=True, help="May start and retry tasks.")
@click.option("--cancel", is_flag=True, help="May cancel tasks.")
@click.option("--admin", is_flag=True, help="May administer Herald itself.")
@click.option("--mark", is_flag=True, help="May set marks, such as deploys.")
@click.option("--task", "ids", multiple=True, metavar="ID", help="Only this task.")
@add_filter_options
@option(
    "--hide",
    multiple=True,
    type=click.Choice(HIDEABLE_FIELDS),
    help="A field of tasks that it does not show.",
)
@option("--ttl", default="15m", show_default=True, help="Lifetime: 90s, 15m, 2h.")
@click.option("--label", metavar="WORD", help="Name of the token in the audit log.")
@click.option("--offline", is_flag=True, help="Sign it locally, with HERALD_TOKEN.")
@click.option("--list", "lists", is_flag=True, help="List the valid tokens.")
@click.option("--revoke", metavar="ID", help="Revoke a token.")
@click.option("--hash", "hashes", is_flag=True, help="Print a hash for herald.toml.")
@click.option("--password", "passwords", is_flag=True, help="Print a password's hash.")
@json_option
@environment_option
@token_option
@url_option
def token(
    url: str, token: str | None, environment: str | None, as_json: bool, **given: Any
) -> None:
    """Print a token that is limited to some tasks and expires.

    It has at most the rights of your own token. --hash prints the hash of the token
    on standard input (or of a new one) for a table [tokens.NAME] in the
    herald.toml of a server, --password that of a password for [sso.users.NAME].
    """
    if given["hashes"]:
        _print_hash()
        return
    if given["passwords"]:
        _print_password_hash()
        return
    herald = Herald(url, token, environment=environment)
    asyncio.run(_ask(herald, as_json, given))


async def _ask(herald: Herald, as_json: bool, given: dict[str, Any]) -> None:
    async with herald:
        if given["lists"]:
            _print_tokens(await herald.tokens(), as_json)
        elif given["revoke"]:
            done = await herald.revoke(given["revoke"])
            click.echo(f"revoked {done.id}", err=True)
        else:
            wish = make_request(given)
            offline = given["offline"]
            made = _sign_locally(wish) if offline else await herald.mint(**wish)
            _print_token(made, as_json)


def make_request(given: dict[str, Any]) -> dict[str, Any]:
    """Return the body of `POST /api/v1/tokens` for the given options."""
    scopes = [scope for scope in SCOPES if given.get(scope)] or ["read"]
    only = {key: list(given[key]) for key in KEYS if given.get(key)}
    parse_filter(only)
    hide = list(given.get("hide") or ())
    more = {"only": only, "hide": hide, "label": given.get("label")}
    return {
        "scopes": scopes,
        "ttl": given["ttl"],
        **{key: value for key, value in more.items() if value},
    }


def _sign_locally(wish: dict[str, Any]) -> MintedToken:
    """Return a token that is signed locally, without a server."""
    # Imported here: it takes as long as all other commands together.
    from herald_server.auth.tokens.issuer import TokenIssuer, derive_identity
    from herald_server.auth.tokens.request import parse_token_request, to_token_view
    from herald_server.auth.tokens.static import OWNER
    from herald_server.wiring.settings import make_settings

    secret = make_settings().signing_secret
    if not secret:
        raise InvalidInput(
            "set HERALD_TOKEN_SECRET or HERALD_TOKEN as the servers have it"
        )
    asked, now = parse_token_request(wish), time.time()
    who = derive_identity(
        Identity(OWNER), asked.scopes, asked.only, now + asked.ttl, asked.label
    )
    return msgspec.convert(
        {**to_token_view(who, now), "token": TokenIssuer(secret).sign(who)}, MintedToken
    )


def _print_token(made: MintedToken, as_json: bool) -> None:
    if as_json:
        click.echo(to_json_line(made))
        return
    # The token alone on standard output: `HERALD_TOKEN=$(herald token …)`.
    click.echo(made.token)
    click.echo(
        f"{made.id} may {', '.join(made.scopes)} until {made.expires_at}", err=True
    )


def _print_tokens(found: list[MintedToken], as_json: bool) -> None:
    if as_json:
        for one in found:
            click.echo(to_json_line(one))
        return
    for text in format_table(COLUMNS, (_format_row(one) for one in found)):
        click.echo(text)


def _format_row(one: MintedToken) -> tuple[str, ...]:
    only = " and ".join(to_json_line(part).decode() for part in one.only)
    scopes = " ".join(one.scopes)
    return (
        one.id,
        cut_first_line(one.name),
        scopes,
        cut_first_line(only or "all tasks"),
        one.expires_at,
    )


def _print_password_hash() -> None:
    # Imported here: it brings what only a server needs.
    from herald_server.auth.sso.passwords import hash_password

    if sys.stdin.isatty():
        given = getpass.getpass("Password: ")
    else:
        given = sys.stdin.readline().rstrip("\n")
    if not given:
        raise InvalidInput("give the password on standard input")
    click.echo(hash_password(given))


def _print_hash() -> None:
    from herald_server.auth.tokens.secret import find_weakness
    from herald_server.auth.tokens.static import hash_token

    if sys.stdin.isatty():
        given = getpass.getpass("Token (empty: make a new one): ")
    else:
        given = sys.stdin.readline()
    made = given.strip() or make_token()
    why = find_weakness(made)
    if not given.strip():
        click.echo(f"the token is {made}", err=True)
    elif why:
        click.echo(
            f"this token is easy to guess: {why}; `herald token --hash < /dev/null` "
            "makes a better one",
            err=True,
        )
    click.echo(hash_token(made))
