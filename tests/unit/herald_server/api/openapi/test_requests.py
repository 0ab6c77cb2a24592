"""The types of request bodies have exactly the members that are read."""

from typing import Any, get_type_hints

import pytest

from herald_server.alerts.silences import KEYS as SILENCE_KEYS
from herald_server.api.openapi import requests as body
from herald_server.auth.tokens.request import REQUEST_KEYS
from herald_server.control.bulk.request import KEYS as ORDER_KEYS
from herald_server.control.marks import KEYS as MARK_KEYS
from herald_server.control.start.send_options import OPTION_KEYS
from herald_server.control.workers.commands import PARAMETERS
from herald_server.webhooks.endpoint import ENDPOINT_KEYS

READ: dict[Any, set[str]] = {
    body.BulkOrderBody: set(ORDER_KEYS),
    body.MarkBody: set(MARK_KEYS),
    body.MintBody: set(REQUEST_KEYS),
    body.SendOptionsBody: {*OPTION_KEYS, "confirmation"},
    body.SilenceBody: set(SILENCE_KEYS),
    body.WebhookBody: set(ENDPOINT_KEYS),
    body.WorkerOrderBody: {"command"}.union(*PARAMETERS.values()),
}


@pytest.mark.parametrize("kind", READ, ids=lambda one: one.__name__)
def test_a_body_has_the_members_that_are_read(kind: Any) -> None:
    assert get_type_hints(kind).keys() == READ[kind]
