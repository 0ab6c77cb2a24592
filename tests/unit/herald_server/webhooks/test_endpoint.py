"""The rules of webhooks, each by itself: no socket, no store."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.errors import InvalidInput
from herald_core.model.cursor import START
from herald_core.model.events.event import Progress
from herald_core.model.filters import Filter
from herald_core.store.memory.store import MemoryStore
from herald_server.webhooks.endpoint import (
    ENDPOINT_KEYS,
    WebhookEndpoint,
    parse_endpoint,
)
from herald_server.webhooks.message import make_change_message
from herald_server.webhooks.signing import make_secret
from herald_server.webhooks.toml import read_endpoints
from tests.support.model.webhook_endpoints import NOW, URL, asked
from tests.support.store.labs import event

# -- what may be registered ---------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"url": None}, "url must be a text"),
        ({"url": "ftp://example.org/"}, "url must be https://HOST/"),
        ({"url": "https:///x"}, "url must be https://HOST/"),
        ({"url": "https://u:p@example.org/"}, "must not hold a user name"),
        ({"url": "https://example.org/#x"}, "without spaces and #"),
        ({"url": "https://exämple.org/"}, "plain ASCII"),
        ({"url": "https://example.org:99999/"}, "is no URL"),
        ({"url": "https://example.org/\r\nX: y"}, "plain ASCII"),
        ({"url": "https://e.org/" + "x" * 2048}, "url is over 2048 characters"),
        ({"on": "finished"}, "on takes final, states, updates, alert, or states"),
        ({"on": []}, "nothing would be sent"),
        ({"on": "SUCCESS", "filter": {"state": "FAILURE"}}, "nothing in common"),
        ({"filter": {"nme": "x"}}, "did you mean 'name'?"),
        ({"filter": "reports.*"}, "filter must be an object"),
        ({"format": "xml"}, "format must be one of herald, cloudevents"),
        ({"secret": "whsec_short"}, "24 to 64 random bytes"),
        ({"secret": "hunter2"}, "secret must be whsec_"),
        ({"colour": 1}, "unknown key 'colour'; known are url"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], part: str) -> None:
    with pytest.raises(
        InvalidInput, match=part.replace("?", r"\?").replace("*", r"\*")
    ):
        asked(**wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from([*ENDPOINT_KEYS]) | st.text(max_size=8), JSON, max_size=5
    ),
    st.booleans(),
)
def test_whatever_is_asked_for_is_an_endpoint_or_a_sentence(
    wish: dict[str, Any], with_url: bool
) -> None:
    with contextlib.suppress(InvalidInput):
        made = parse_endpoint({**wish, **({"url": URL} if with_url else {})}, "")
        assert (
            msgspec.json.decode(msgspec.json.encode(made), type=WebhookEndpoint) == made
        )


def test_without_words_the_states_of_the_filter_are_told_else_ends() -> None:
    assert asked(filter={"state": ["LOST", "RETRY"]}).on == ("LOST", "RETRY")
    assert asked().states == {*("SUCCESS", "FAILURE", "REVOKED", "REJECTED", "IGNORED")}


def test_a_file_names_endpoints_and_where_their_secrets_are(tmp_path: Path) -> None:
    path = tmp_path / "herald.toml"
    path.write_text(
        f'[webhooks.alerts]\nurl = "{URL}"\nsecret_env = "S"\non = ["LOST"]\n'
    )
    secret = make_secret()
    (found,) = read_endpoints(path, {"S": secret})
    assert (found.id, found.list_signing_secrets(NOW), found.on) == (
        "alerts",
        [secret],
        ("LOST",),
    )
    with pytest.raises(InvalidInput, match=r"\[webhooks.alerts\] needs secret"):
        read_endpoints(path, {})


# -- addresses ------------------------------------------------------------------------


# -- signatures -----------------------------------------------------------------------


# -- patience -------------------------------------------------------------------------


# -- order ----------------------------------------------------------------------------


# -- messages -------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_change_is_a_message_if_it_is_asked_for() -> None:
    store = MemoryStore()
    half = event("progress", "t", 3, progress=Progress(percent=50))
    for one in (event("received", "t", 1), event("started", "t", 2), half):
        await store.store([one], now=NOW)
    again = [event("retried", "t", 4), event("received", "t", 5, retries=1)]
    again += [event("started", "t", 6), event("failed", "t", 7)]
    for one in again:
        await store.store([one], now=NOW)
    changes = [c for entry in await store.read_entries(START) for c in entry.changes]

    def told(**wish: Any) -> list[str]:
        endpoint = asked(**wish)
        found = (make_change_message(change, endpoint) for change in changes)
        return [one.type for one in found if one is not None]

    assert told() == ["task.failed"]
    assert told(on="states") == [
        *("task.received", "task.started", "task.retried"),
        *("task.started", "task.failed"),
    ]
    assert told(on="updates") == ["task.updated"] * 2  # progress, the second receipt
    assert told(on="states", filter={"ids": "other"}) == []
    assert told(on="RETRY") == ["task.retried"]
    both = [event("started", "t", 8), event("failed", "t", 9)]
    await store.store(both, now=NOW)
    changes = [c for entry in await store.read_entries(START) for c in entry.changes]
    assert told() == ["task.failed"] * 2, "a second run that failed at once"


@pytest.mark.anyio
async def test_both_formats_carry_the_task_as_everybody_is_shown_it() -> None:
    store = MemoryStore()
    await store.store([event("succeeded", "t/1", name="shop.pay")], now=NOW)
    (change,) = (c for entry in await store.read_entries(START) for c in entry.changes)
    plain, cloud = (
        make_change_message(change, asked(format=format_))
        for format_ in ("herald", "cloudevents")
    )
    assert plain is not None
    assert cloud is not None
    task = (await store.list_tasks(Filter())).tasks[0]
    shown = json.loads(msgspec.json.encode(task))
    assert json.loads(plain.body)["data"] == shown
    envelope = json.loads(cloud.body)
    assert envelope.pop("data") == shown
    assert envelope == {
        "specversion": "1.0",
        "id": plain.id,
        "source": "/celery-herald",
        "type": "task.succeeded",
        "subject": "t/1",
        "time": task.updated_at,
        "datacontenttype": "application/json",
    }
