"""`herald token`: short-lived tokens for a few tasks, and hashes for a herald.toml."""

from __future__ import annotations

import asyncio
import getpass
import sys
import time
from typing import Any

import click
import msgspec

from herald_monitor.errors import BadInput
from herald_monitor.model.filters import parse_filter
from herald_server.auth import SCOPES, Identity, new_token
from herald_server.client.address import find_address
from herald_server.client.rest import Rest
from herald_server.commands.asking import (
    filtered,
    json_option,
    option,
    token_option,
    url_option,
)
from herald_server.commands.lines import plain, table, to_json_line

PATH = "api/v1/tokens"
HEAD = ("ID", "NAME", "SCOPES", "ONLY", "UNTIL")


class Minted(msgspec.Struct, omit_defaults=True):
    """A minted token; as it is listed, without itself."""

    id: str
    name: str
    scopes: list[str]
    expires_at: str
    minted_at: str = ""
    only: list[dict[str, Any]] = []
    by: list[str] = []
    token: str = ""


class _Listed(msgspec.Struct):
    tokens: list[Minted]


class _Revoked(msgspec.Struct):
    id: str


@click.command()
@click.option("--read", is_flag=True, help="May read (default).")
@click.option("--start", is_flag=True, help="May start and retry tasks.")
@click.option("--cancel", is_flag=True, help="May cancel tasks.")
@click.option("--admin", is_flag=True, help="May do what is about Herald itself.")
@click.option("--task", "ids", multiple=True, metavar="ID", help="Only this task.")
@filtered
@option("--ttl", default="15m", show_default=True, help="For how long: 90s, 15m, 2h.")
@click.option("--label", metavar="WORD", help="A name for it in the audit log.")
@click.option("--offline", is_flag=True, help="Sign it here, with HERALD_TOKEN.")
@click.option("--list", "lists", is_flag=True, help="List the tokens that live.")
@click.option("--revoke", metavar="ID", help="Revoke a token.")
@click.option("--hash", "hashes", is_flag=True, help="Print a hash for herald.toml.")
@json_option
@token_option
@url_option
def token(url: str, token: str | None, as_json: bool, **given: Any) -> None:
    """Print a token for some tasks that ends by itself.

    It can be no more than your own. With --hash, the token on standard input is
    hashed (a new one is made where there is none), for a table [tokens.NAME] in
    the herald.toml of a server.
    """
    if given["hashes"]:
        _print_hash()
        return
    rest = Rest(find_address(url, token))
    if given["lists"]:
        _print_all(asyncio.run(rest.get(PATH, _Listed)).tokens, as_json)
    elif given["revoke"]:
        done = asyncio.run(rest.delete(f"{PATH}/{given['revoke']}", _Revoked))
        click.echo(f"revoked {done.id}", err=True)
    else:
        wish = wished(given)
        made = _signed(wish) if given["offline"] else None
        _print(made or asyncio.run(rest.post(PATH, wish, Minted)), as_json)


def wished(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the options ask for, as `POST /api/v1/tokens` takes it."""
    scopes = [scope for scope in SCOPES if given.get(scope)] or ["read"]
    keys = ("ids", "name", "state", "worker", "queue", "root", "group", "tag")
    only = {key: list(given[key]) for key in keys if given.get(key)}
    parse_filter(only)
    more = {"only": only, "label": given.get("label")}
    return {
        "scopes": scopes,
        "ttl": given["ttl"],
        **{key: value for key, value in more.items() if value},
    }


def _signed(wish: dict[str, Any]) -> Minted:
    """Return a token that is signed here: for where no server can be asked."""
    # Imported here: it takes as long as all other commands together.
    from herald_server.commands.options import settings_of
    from herald_server.tokens.minting import Mint, made_of
    from herald_server.tokens.static import OWNER
    from herald_server.tokens.wish import parse_wish, shown

    secret = settings_of().signing_secret
    if not secret:
        raise BadInput("set HERALD_TOKEN_SECRET or HERALD_TOKEN as the servers have it")
    asked, now = parse_wish(wish), time.time()
    who = made_of(
        Identity(OWNER), asked.scopes, asked.only, now + asked.ttl, asked.label
    )
    return msgspec.convert({**shown(who, now), "token": Mint(secret).sign(who)}, Minted)


def _print(made: Minted, as_json: bool) -> None:
    if as_json:
        click.echo(to_json_line(made))
        return
    # The token alone on standard output: `HERALD_TOKEN=$(herald token …)`.
    click.echo(made.token)
    click.echo(
        f"{made.id} may {', '.join(made.scopes)} until {made.expires_at}", err=True
    )


def _print_all(found: list[Minted], as_json: bool) -> None:
    if as_json:
        for one in found:
            click.echo(to_json_line(one))
        return
    for text in table(HEAD, (_row(one) for one in found)):
        click.echo(text)


def _row(one: Minted) -> tuple[str, ...]:
    only = " and ".join(to_json_line(part).decode() for part in one.only)
    scopes = " ".join(one.scopes)
    return one.id, plain(one.name), scopes, plain(only or "all tasks"), one.expires_at


def _print_hash() -> None:
    from herald_server.tokens.secret import weakness
    from herald_server.tokens.static import hash_of

    if sys.stdin.isatty():
        given = getpass.getpass("Token (empty: make a new one): ")
    else:
        given = sys.stdin.readline()
    made = given.strip() or new_token()
    why = weakness(made)
    if not given.strip():
        click.echo(f"the token is {made}", err=True)
    elif why:
        click.echo(
            f"this token is easy to guess: {why}; `herald token --hash < /dev/null` "
            "makes a better one",
            err=True,
        )
    click.echo(hash_of(made))
