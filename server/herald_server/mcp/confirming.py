"""Asking a person before something grave is started, in both eras of MCP."""

from __future__ import annotations

import asyncio

from fastmcp.server.context import Context
from fastmcp.server.elicitation import AcceptedElicitation
from mcp.types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from herald_monitor.errors import HeraldError

KEY = "confirm"
WITHIN = 40.0
"""Seconds in which a person must answer where the call waits for them."""

SCHEMA = {
    "type": "object",
    "properties": {
        KEY: {"type": "boolean", "title": "Start it", "description": "Yes to start it"}
    },
    "required": [KEY],
}


class NotConfirmed(HeraldError):
    """Nobody agreed, so nothing was started."""


async def confirmed(
    ctx: Context, question: str, explicit: bool
) -> InputRequiredResult | None:
    """Return nothing once a person agreed, or what asks them (newer protocol).

    A client that cannot ask its user may pass on their consent: `explicit`.
    Raises `NotConfirmed`.
    """
    if not _can_ask(ctx):
        if explicit:
            return None
        raise NotConfirmed(
            f"{question} This needs the consent of a person, and this client cannot "
            "ask one: ask your user, then call again with confirm=true. "
            "Nothing was started."
        )
    if _modern(ctx):
        return _answered(ctx, question)
    await _ask(ctx, question)
    return None


def _can_ask(ctx: Context) -> bool:
    able = ctx.session.client_capabilities
    if able is None or able.elicitation is None:
        return False
    # A client that names its modes but not the form can only open URLs.
    return able.elicitation.form is not None or able.elicitation.url is None


def _modern(ctx: Context) -> bool:
    now = ctx.request_context
    return now is not None and now.protocol_version in MODERN_PROTOCOL_VERSIONS


def _answered(ctx: Context, question: str) -> InputRequiredResult | None:
    said = (ctx.input_responses or {}).get(KEY)
    if said is None:
        form = ElicitRequestFormParams(message=question, requested_schema=SCHEMA)
        return InputRequiredResult(
            result_type="input_required",
            input_requests={KEY: ElicitRequest(params=form)},
        )
    if (
        isinstance(said, ElicitResult)
        and said.action == "accept"
        and (said.content or {}).get(KEY) is True
    ):
        return None
    raise NotConfirmed("The person who was asked did not agree. Nothing was started.")


async def _ask(ctx: Context, question: str) -> None:
    try:
        async with asyncio.timeout(WITHIN):
            said = await ctx.elicit(
                question, bool, response_title="Start it", response_description="Yes?"
            )
    except TimeoutError:
        raise NotConfirmed(
            f"Nobody answered within {WITHIN:.0f} s. Nothing was started; call again "
            "when your user is there."
        ) from None
    if not (isinstance(said, AcceptedElicitation) and said.data is True):
        raise NotConfirmed(
            "The person who was asked did not agree. Nothing was started."
        )
