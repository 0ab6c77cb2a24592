"""`herald mcp`: MCP over standard input and output."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_server.auth.identity import SCOPES
from herald_server.cli.server_commands.mcp_doctor import doctor
from herald_server.cli.server_commands.mcp_install import install
from herald_server.cli.server_options import (
    ENVIRONMENT_OPTION,
    LOG_OPTIONS,
    SOURCE_OPTIONS,
    STORE_OPTIONS,
    combine_options,
)
from herald_server.wiring.environments.definitions import find_environment
from herald_server.wiring.process_logs import log_to_stderr
from herald_server.wiring.settings import make_settings

PROFILE_OPTIONS = (
    click.option("--read-only", is_flag=True, help="Only tools that change nothing."),
    click.option(
        "--toolsets",
        metavar="NAMES",
        help="Only these groups of tools: tasks, groups, changes, stats, alerts, "
        "workers, queues, orders, schedules, deploys, webhooks.  [default: all]",
    ),
    click.option(
        "--scopes",
        metavar="NAMES",
        help="What may be done: read, start, cancel, mark, admin.  [default: all]",
    ),
    click.option(
        "--max-wait",
        metavar="SECONDS",
        help="Seconds after which a waiting call answers, for clients with a short "
        "timeout.  [default: 45]",
    ),
)


@click.group(invoke_without_command=True)
@combine_options(PROFILE_OPTIONS, SOURCE_OPTIONS, STORE_OPTIONS)
@combine_options(LOG_OPTIONS, ENVIRONMENT_OPTION)
@click.pass_context
def mcp(
    ctx: click.Context,
    /,
    log_level: str,
    environment: str | None,
    read_only: bool,
    toolsets: str | None,
    scopes: str | None,
    max_wait: str | None,
    **given: Any,
) -> None:
    """Serve MCP over standard input and output, to an agent on this machine.

    Reads the store of a running Herald; with --broker or -A tasks can be
    started and cancelled too. `herald mcp install` adds it to an MCP client, and
    `herald mcp doctor` calls it as one.
    """
    if ctx.invoked_subcommand is not None:
        return
    from herald_server.mcp.profiles import profile
    from herald_server.wiring.launcher import run_mcp

    chosen = profile.ToolProfile(
        read_only=read_only,
        toolsets=profile.parse_toolsets(toolsets, "--toolsets"),
        max_wait_s=profile.parse_max_wait(max_wait, "--max-wait"),
    )
    log_to_stderr(log_level)
    settings = find_environment(make_settings(**given), environment)
    asyncio.run(run_mcp(settings, _parse_scopes(scopes), chosen))


mcp.add_command(install)
mcp.add_command(doctor)


def _parse_scopes(text: str | None) -> list[str]:
    """Return the scopes in a list with commas; all by default. Raises `UsageError`."""
    if text is None:
        return list(SCOPES)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in SCOPES]
    if unknown or not names:
        raise click.UsageError(f"--scopes takes {', '.join(SCOPES)}")
    return names
