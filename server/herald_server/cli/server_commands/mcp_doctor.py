"""`herald mcp doctor`: call the MCP server as a client does."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator
from typing import Any, cast

import click

CALL_TIMEOUT_S = 20.0
ERAS = {"auto": "2026-07-28", "legacy": "2025-11-25"}
"""Modes of the client, and the version of the protocol that they speak."""


@click.command("doctor")
@click.argument("mcp_args", nargs=-1, metavar="[-- OPTIONS OF HERALD MCP]")
@click.option("--url", metavar="URL", help="A running Herald, as http://HOST:PORT/mcp.")
@click.option("--token", envvar="HERALD_TOKEN", show_envvar=True, help="Its token.")
@click.pass_context
def doctor(
    ctx: click.Context, mcp_args: tuple[str, ...], url: str | None, token: str | None
) -> None:
    """Connect as an MCP client does, in both eras, and call a tool.

    With --url a server is called; without it, `herald mcp` is run with the options
    after `--`. The exit code is 1 if a step fails. Nothing is changed.
    """
    ctx.exit(0 if asyncio.run(_check_all(url, token, mcp_args)) else 1)


async def _check_all(url: str | None, token: str | None, args: tuple[str, ...]) -> bool:
    if url is not None and (problem := await _find_refusal(url, token)):
        click.echo(f"FAIL {problem}")
        return False
    good = True
    for mode, version in ERAS.items():
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                async for line in _check(mode, url, token, args):
                    click.echo(f"ok   {version}: {line}")
        except Exception as error:  # any transport, any refusal
            click.echo(f"FAIL {version}: {_explain(error, url)}")
            good = False
    return good


async def _find_refusal(url: str, token: str | None) -> str:
    """Return why a request is refused before it is MCP; empty if it is not."""
    import httpx2

    headers = {"Accept": "application/json, text/event-stream", **_authorize(token)}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    try:
        async with httpx2.AsyncClient(timeout=CALL_TIMEOUT_S) as http:
            answer = await http.post(url, json=ping, headers=headers)
    except httpx2.HTTPError as error:
        return _explain(error, url)
    if answer.status_code in (401, 403):
        return (
            f"{answer.status_code}: the token is refused"
            f" ({answer.headers.get('WWW-Authenticate', 'no reason is given')})."
            " Give a valid one with --token or HERALD_TOKEN"
        )
    if answer.status_code in (404, 405):
        return f"{answer.status_code}: no MCP server is at {url}; it ends with /mcp"
    return ""


def _authorize(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


async def _check(
    mode: str, url: str | None, token: str | None, args: tuple[str, ...]
) -> AsyncGenerator[str]:
    from fastmcp import Client

    made: Client[Any] = Client(_make_transport(url, token, args), mode=mode)
    async with made as client:
        yield "connected"
        tools = await client.list_tools()
        yield f"{len(tools)} tools: {', '.join(tool.name for tool in tools)}"
        names = {tool.name for tool in tools}
        if "list_active_tasks" in names:
            found = await client.call_tool("list_active_tasks", {"limit": 1})
            told = found.structured_content or {}
            yield f"list_active_tasks answers: {told.get('total_active')} active"
            if told.get("message"):
                yield str(told["message"])
        await client.read_resource("herald://health")
        yield "herald://health can be read"


def _make_transport(url: str | None, token: str | None, args: tuple[str, ...]) -> Any:
    from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

    if url is None:
        command = shutil.which("herald")
        if command is None:
            main = ["-c", "from herald_server.cli.main import main; main()"]
            return StdioTransport(sys.executable, [*main, "mcp", *args])
        return StdioTransport(command, ["mcp", *args])
    return StreamableHttpTransport(url, headers=_authorize(token))


def _find_first(error: BaseException) -> BaseException:
    """Return the first error in the groups that anyio's tasks raise."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    return _find_first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])


def _explain(error: BaseException, url: str | None) -> str:
    """Return why a step failed, and what to do about it."""
    cause = _find_first(error)
    text = (str(cause) or type(cause).__name__).splitlines()[0][:300]
    if isinstance(cause, TimeoutError):
        text = f"no answer within {CALL_TIMEOUT_S:.0f} s"
    if url is None:
        return f"{text}. Run `herald mcp` with the same options to see its log"
    return f"{text}. Check the address, which ends with /mcp, and that Herald runs"
