"""Confirmation of a start by the user, over both versions of MCP."""

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

from herald_core.errors import HeraldError
from herald_server.control.control import StartResult
from herald_server.control.start.consent import (
    PERSON,
    ConfirmationRequired,
    TicketIssuer,
)

CONFIRM_KEY = "confirm"
ANSWER_TIMEOUT_S = 40.0
"""Seconds in which a person must answer where the call waits for them."""

SCHEMA = {
    "type": "object",
    "properties": {
        CONFIRM_KEY: {
            "type": "boolean",
            "title": "Start it",
            "description": "Yes to start it",
        }
    },
    "required": [CONFIRM_KEY],
}


class ConfirmationDenied(HeraldError):
    """The user did not confirm, so nothing was started."""


async def start_with_consent(
    ctx: Context,
    order: Callable[[str | None], Awaitable[StartResult]],
    explicit: bool,
    policy: str,
) -> StartResult | InputRequiredResult:
    """Start, or return the question for the user (newer protocol).

    `order` takes the ticket of a confirmation. A client that cannot ask its user may
    pass on their consent (`explicit`), unless `policy` is `PERSON`. Raises
    `ConfirmationDenied`, and the errors of `order`.
    """
    try:
        return await order(_read_answer(ctx))
    except ConfirmationRequired as error:
        required = error
    if _can_ask(ctx):
        if _has_input_requests(ctx):
            return _make_question(required)
        await _ask_user(ctx, required.question)
    else:
        _refuse_client_consent(ctx, required.question, explicit, policy)
    return await order(required.ticket)


def _refuse_client_consent(
    ctx: Context, question: str, explicit: bool, policy: str
) -> None:
    """Raise `ConfirmationDenied` unless the client's own statement is sufficient."""
    if policy == PERSON:
        raise ConfirmationDenied(
            f"{question} This needs the consent of a person, and this client cannot "
            "ask one; HERALD_CONFIRM=person accepts no other confirmation. Start it "
            "from a client that supports elicitation. Nothing was started."
        )
    if ctx.session.client_capabilities is None:
        raise ConfirmationDenied(
            f"{question} This needs the consent of a person, and several server "
            "processes cannot ask one over this version of MCP. Use a client that "
            "speaks 2026-07-28, or one server process. Nothing was started."
        )
    if not explicit:
        raise ConfirmationDenied(
            f"{question} This needs the consent of a person, and this client cannot "
            "ask one: ask your user, then call again with confirm=true. "
            "Nothing was started."
        )


def _can_ask(ctx: Context) -> bool:
    client = ctx.session.client_capabilities
    if client is None or client.elicitation is None:
        return False
    # A client that lists its modes without forms can only open URLs.
    return client.elicitation.form is not None or client.elicitation.url is None


def _has_input_requests(ctx: Context) -> bool:
    now = ctx.request_context
    return now is not None and now.protocol_version in MODERN_PROTOCOL_VERSIONS


def _read_answer(ctx: Context) -> str | None:
    """Return the ticket of a confirmed question; None if there was no question.

    Raises `ConfirmationDenied` if the user declined.
    """
    if not _has_input_requests(ctx):
        return None
    answer = (ctx.input_responses or {}).get(CONFIRM_KEY)
    if answer is None:
        return None
    if (
        isinstance(answer, ElicitResult)
        and answer.action == "accept"
        and (answer.content or {}).get(CONFIRM_KEY) is True
    ):
        return ctx.request_state
    raise ConfirmationDenied(
        "The person who was asked did not agree. Nothing was started."
    )


def _make_question(required: ConfirmationRequired) -> InputRequiredResult:
    form = ElicitRequestFormParams(message=required.question, requested_schema=SCHEMA)
    return InputRequiredResult(
        result_type="input_required",
        input_requests={CONFIRM_KEY: ElicitRequest(params=form)},
        request_state=required.ticket,
    )


async def _ask_user(ctx: Context, question: str) -> None:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await ctx.elicit(
                question, bool, response_title="Start it", response_description="Yes?"
            )
    except TimeoutError:
        raise ConfirmationDenied(
            f"No person answered within {ANSWER_TIMEOUT_S:.0f} s. "
            "Nothing was started; call again when your user is there."
        ) from None
    if not (isinstance(answer, AcceptedElicitation) and answer.data is True):
        raise ConfirmationDenied(
            "The person who was asked did not agree. Nothing was started."
        )


class TicketCodec:
    """Encrypts the state of a question with the key that all processes share.

    The key exists once the first ticket was issued, or the server has started.
    """

    def __init__(self, consents: TicketIssuer) -> None:
        self._consents = consents

    def seal(self, payload: bytes) -> str:
        """Return `payload` encrypted."""
        return AESGCMRequestStateCodec([self._consents.key]).seal(payload)

    def unseal(self, token: str) -> bytes:
        """Return the decrypted payload. Raises `InvalidRequestState`."""
        if not self._consents.key:
            raise InvalidRequestState("no question was asked")
        return AESGCMRequestStateCodec([self._consents.key]).unseal(token)
