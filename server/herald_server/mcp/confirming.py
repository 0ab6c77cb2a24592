"""Asking a person before something grave is started, in both eras of MCP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastmcp.server.context import Context
from fastmcp.server.elicitation import AcceptedElicitation
from mcp.server.request_state import AESGCMRequestStateCodec, InvalidRequestState
from mcp.types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from herald_monitor.errors import HeraldError
from herald_server.consent import PERSON, Consents, Unconfirmed
from herald_server.control import Started

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


async def with_consent(
    ctx: Context,
    order: Callable[[str | None], Awaitable[Started]],
    explicit: bool,
    policy: str,
) -> Started | InputRequiredResult:
    """Give an order, or return what asks a person first (newer protocol).

    `order` takes the ticket that carries a person's consent. A client that cannot
    ask its user may pass on their consent (`explicit`), unless `policy` is `PERSON`.
    Raises `NotConfirmed`, and what `order` raises.
    """
    try:
        return await order(_answer(ctx))
    except Unconfirmed as error:
        asked = error
    if _can_ask(ctx):
        if _modern(ctx):
            return _question(asked)
        await _ask(ctx, asked.question)
    else:
        _refuse_word(ctx, asked.question, explicit, policy)
    return await order(asked.ticket)


def _refuse_word(ctx: Context, question: str, explicit: bool, policy: str) -> None:
    """Raise `NotConfirmed` unless the client's word will do."""
    if policy == PERSON:
        raise NotConfirmed(
            f"{question} This needs the consent of a person, and this client cannot "
            "ask one; HERALD_CONFIRM=person takes nobody's word for it. Start it from "
            "a client that supports elicitation. Nothing was started."
        )
    if ctx.session.client_capabilities is None:
        raise NotConfirmed(
            f"{question} This needs the consent of a person, and several server "
            "processes cannot ask one over this version of MCP. Use a client that "
            "speaks 2026-07-28, or one server process. Nothing was started."
        )
    if not explicit:
        raise NotConfirmed(
            f"{question} This needs the consent of a person, and this client cannot "
            "ask one: ask your user, then call again with confirm=true. "
            "Nothing was started."
        )


def _can_ask(ctx: Context) -> bool:
    able = ctx.session.client_capabilities
    if able is None or able.elicitation is None:
        return False
    # A client that names its modes but not the form can only open URLs.
    return able.elicitation.form is not None or able.elicitation.url is None


def _modern(ctx: Context) -> bool:
    now = ctx.request_context
    return now is not None and now.protocol_version in MODERN_PROTOCOL_VERSIONS


def _answer(ctx: Context) -> str | None:
    """Return the ticket that a person's yes came with; None if nobody was asked.

    Raises `NotConfirmed` if they said no.
    """
    if not _modern(ctx):
        return None
    said = (ctx.input_responses or {}).get(KEY)
    if said is None:
        return None
    if (
        isinstance(said, ElicitResult)
        and said.action == "accept"
        and (said.content or {}).get(KEY) is True
    ):
        return ctx.request_state
    raise NotConfirmed("The person who was asked did not agree. Nothing was started.")


def _question(asked: Unconfirmed) -> InputRequiredResult:
    form = ElicitRequestFormParams(message=asked.question, requested_schema=SCHEMA)
    return InputRequiredResult(
        result_type="input_required",
        input_requests={KEY: ElicitRequest(params=form)},
        request_state=asked.ticket,
    )


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


class TicketCodec:
    """Seals the state of a question with the key that all processes share.

    It is there once the first ticket was issued, or the server has started.
    """

    def __init__(self, consents: Consents) -> None:
        self._consents = consents

    def seal(self, payload: bytes) -> str:
        """Return `payload` encrypted."""
        return AESGCMRequestStateCodec([self._consents.key]).seal(payload)

    def unseal(self, token: str) -> bytes:
        """Return what was sealed. Raises `InvalidRequestState`."""
        if not self._consents.key:
            raise InvalidRequestState("no question was asked")
        return AESGCMRequestStateCodec([self._consents.key]).unseal(token)
