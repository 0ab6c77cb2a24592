"""`herald mcp install`: add Herald to the configuration of an MCP client."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import click

from herald_server.cli.mcp_clients.clients import CLIENTS, McpClient, Server, find_file
from herald_server.cli.mcp_clients.config_file import (
    add_entry,
    read_config,
    write_config,
)

SHOWN_SECRET = "…"


@click.command("install")
@click.argument("client", type=click.Choice(list(CLIENTS)))
@click.argument("mcp_args", nargs=-1, metavar="[-- OPTIONS OF HERALD MCP]")
@click.option("--url", metavar="URL", help="A running Herald, as http://HOST:PORT/mcp.")
@click.option("--token", help="Write this token; by default HERALD_TOKEN is read.")
@click.option("--project", is_flag=True, help="For this directory, not for the user.")
@click.option("--name", default="herald", show_default=True, help="Name of the entry.")
@click.option("--replace", is_flag=True, help="Replace another entry of that name.")
@click.option("--yes", is_flag=True, help="Write without asking.")
def install(
    client: str,
    mcp_args: tuple[str, ...],
    url: str | None,
    token: str | None,
    project: bool,
    name: str,
    replace: bool,
    yes: bool,
) -> None:
    """Add Herald to CLIENT: show the change, ask, keep a copy, write.

    With --url the client calls a server; without it, it runs `herald mcp` with the
    options after `--`, such as: herald mcp install cursor -- --store redis://HOST/0
    """
    chosen = CLIENTS[client]
    path = _find_path(chosen, project)
    server = _make_server(chosen, url, token, mcp_args)
    entry = chosen.make_entry(server, chosen.variable)
    shown = json.dumps({chosen.key: {name: entry}}, indent=2, ensure_ascii=False)
    click.echo(f"{chosen.title}: {path}\n{_hide(shown, token)}")
    before = read_config(path)
    after = add_entry(before, chosen.key, name, entry, replace=replace)
    if after == before:
        click.echo("It is there already; nothing was written.")
        return
    if not yes and not click.confirm("Write this?"):
        click.echo("Nothing was written.")
        return
    backup = write_config(path, after, time.strftime("%Y%m%d-%H%M%S"))
    if backup is not None:
        click.echo(f"The old file is {backup}.")
    click.echo(f"Written. Start {chosen.title} again; `herald mcp doctor` checks it.")


def _find_path(client: McpClient, project: bool) -> Path:
    place = Path.cwd() if project else None
    path = find_file(client, place, Path.home(), sys.platform, os.environ)
    if path is None:
        raise click.UsageError(f"{client.title} has no file for a project")
    return path


def _make_server(
    client: McpClient, url: str | None, token: str | None, args: tuple[str, ...]
) -> Server:
    if url is None:
        if token is not None:
            raise click.UsageError("--token goes with --url")
        command = shutil.which("herald") or "herald"
        return Server(command=command, args=("mcp", *args))
    if not client.takes_url:
        raise click.UsageError(
            f"{client.title} starts its servers itself: leave out --url"
        )
    if args:
        raise click.UsageError("options of `herald mcp` go without --url")
    return Server(url=url, token=token)


def _hide(text: str, token: str | None) -> str:
    return text.replace(token, SHOWN_SECRET) if token else text
