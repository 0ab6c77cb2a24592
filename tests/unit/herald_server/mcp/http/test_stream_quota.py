"""How many streams one token, and all of them, may have open."""

from contextlib import ExitStack

import pytest
from mcp.shared.exceptions import MCPError

from herald_server.auth.identity import Identity
from herald_server.mcp.http.stream_quota import StreamQuota

ANN, MINTED, BOB = Identity("ann"), Identity("ann/page"), Identity("bob")


def test_one_token_has_half_of_all_with_those_minted_from_it() -> None:
    quota = StreamQuota(4, -1)
    with ExitStack() as open_:
        open_.enter_context(quota.hold(ANN))
        open_.enter_context(quota.hold(MINTED))
        with pytest.raises(MCPError, match="this token has 2 streams open"):
            open_.enter_context(quota.hold(ANN))
        open_.enter_context(quota.hold(BOB))
    with quota.hold(ANN), quota.hold(ANN):
        pass


def test_all_tokens_together_have_a_limit() -> None:
    quota = StreamQuota(2, -7)
    with (
        quota.hold(ANN),
        quota.hold(BOB),
        pytest.raises(MCPError, match="too many streams") as told,
        quota.hold(Identity("eve")),
    ):
        pass
    assert told.value.error.code == -7
