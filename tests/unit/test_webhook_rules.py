"""The rules of webhooks, each by itself: no socket, no store."""

from __future__ import annotations

import contextlib
import json
import random
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from herald_monitor.errors import BadInput
from herald_monitor.memory import MemoryStore
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.events import Progress
from herald_monitor.model.filters import Filter
from herald_server.webhooks.address import Guard, networks
from herald_server.webhooks.backoff import Pace, retry_after
from herald_server.webhooks.breaker import CLOSED, HALF_OPEN, OPEN, Breaker
from herald_server.webhooks.endpoint import KEYS, Endpoint, parse_endpoint
from herald_server.webhooks.lanes import Lanes
from herald_server.webhooks.message import Message, of_change
from herald_server.webhooks.signing import new_secret, signed_headers
from herald_server.webhooks.toml import read_endpoints
from tests.contract.labs import event

URL = "https://example.org/hook"
NOW = 1_795_000_000.0


def asked(**given_: Any) -> Endpoint:
    return parse_endpoint({"url": URL, **given_}, "2026-01-01T00:00:00.000Z")


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
        ({"on": "finished"}, "on takes final, states, updates, or states"),
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
    with pytest.raises(BadInput, match=part.replace("?", r"\?").replace("*", r"\*")):
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
    st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), JSON, max_size=5),
    st.booleans(),
)
def test_whatever_is_asked_for_is_an_endpoint_or_a_sentence(
    wish: dict[str, Any], with_url: bool
) -> None:
    with contextlib.suppress(BadInput):
        made = parse_endpoint({**wish, **({"url": URL} if with_url else {})}, "")
        assert msgspec.json.decode(msgspec.json.encode(made), type=Endpoint) == made


def test_without_words_the_states_of_the_filter_are_told_else_ends() -> None:
    assert asked(filter={"state": ["LOST", "RETRY"]}).on == ("LOST", "RETRY")
    assert asked().states == {*("SUCCESS", "FAILURE", "REVOKED", "REJECTED", "IGNORED")}


def test_a_file_names_endpoints_and_where_their_secrets_are(tmp_path: Path) -> None:
    path = tmp_path / "herald.toml"
    path.write_text(
        f'[webhooks.alerts]\nurl = "{URL}"\nsecret_env = "S"\non = ["LOST"]\n'
    )
    secret = new_secret()
    (found,) = read_endpoints(path, {"S": secret})
    assert (found.id, found.signing(NOW), found.on) == ("alerts", [secret], ("LOST",))
    with pytest.raises(BadInput, match=r"\[webhooks.alerts\] needs secret"):
        read_endpoints(path, {})


# -- addresses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "169.254.1.1", "100.64.0.1", "100.100.100.200"),
        *("192.0.0.192", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
        *("255.255.255.255", "168.63.129.16", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:db8::1", "64:ff9b::a9fe:a9fe"),
    ],
)
def test_nothing_is_sent_to_what_only_we_can_reach(address: str) -> None:
    assert not Guard().lets(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_sent_to(address: str) -> None:
    assert Guard().lets(ip_address(address))


def test_networks_that_are_allowed_are_sent_to_and_no_others() -> None:
    guard = Guard(networks(["10.1.0.0/16", "::1"]))
    assert guard.lets(ip_address("10.1.9.9"))
    assert guard.lets(ip_address("::ffff:10.1.9.9"))
    assert guard.lets(ip_address("::1"))
    assert not guard.lets(ip_address("10.2.0.1"))
    with pytest.raises(BadInput, match="write one as 10"):
        networks(["intranet"])


# -- signatures -----------------------------------------------------------------------


def test_what_is_signed_with_two_secrets_verifies_with_either() -> None:
    first = asked()
    both = first.rotated(60, NOW)
    body = json.dumps({"ö": 1}).encode()
    now = datetime.now(UTC).timestamp()
    headers = signed_headers("msg-1", now, body, both.signing(NOW + 59))
    for endpoint in (first, both):
        Webhook(endpoint.secrets[0].text).verify(body, headers)
    assert len(both.signing(NOW + 61)) == 1
    assert len(first.rotated(9, 1).rotated(9, 1).rotated(9, 1).secrets) == 3


# -- patience -------------------------------------------------------------------------


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_and_stay_bounded(attempts: int, chance: float) -> None:
    pace = Pace()
    pause = pace.pause(attempts, chance)
    assert pace.first / 2 <= pause <= pace.longest
    assert pace.pause(attempts + 1, chance) >= pause


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("120", 120),
        ("999999999999", 3600),
        ("-5", 0),
        ("soon", 0),
        ("Fri, 13 Nov 2026 10:00:00 GMT", 0),
    ],
)
def test_retry_after_is_understood_in_both_spellings(
    text: str | None, seconds: float
) -> None:
    assert retry_after(text, NOW + 10**7) == seconds


def test_a_retry_after_may_be_a_date() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after("Thu, 01 Jan 2026 00:01:00 GMT", at.timestamp()) == 60


def test_a_breaker_opens_probes_and_opens_for_longer() -> None:
    breaker = Breaker(Pace(open_after=2, open_first=10, open_longest=15))
    breaker.failed(0, 0)
    assert breaker.lets(0)
    breaker.failed(0, 0)
    assert (breaker.state, breaker.lets(9)) == (OPEN, False)
    breaker.failed(9, 0)  # was under way when it opened
    assert breaker.until == 10
    assert [breaker.lets(10) for _ in range(4)] == [True, True, True, False]
    breaker.failed(11, 0)
    breaker.failed(11, 0)
    assert breaker.state == HALF_OPEN
    breaker.failed(11, 0)
    assert breaker.until == 26
    assert breaker.lets(26)
    breaker.accepted()
    assert breaker.state == CLOSED


# -- order ----------------------------------------------------------------------------


def message(number: int, lane: str) -> Message:
    place = (1, number, 0)
    return Message(f"m{number}", "task.succeeded", lane, place, "", b"x")


@given(st.lists(st.sampled_from("abc"), max_size=30), st.randoms(use_true_random=False))
def test_any_fate_keeps_the_order_of_each_task_and_the_cursor_behind_what_waits(
    told: list[str], chance: random.Random
) -> None:
    lanes, now, sent = Lanes(START), 0.0, dict[str, list[int]]()
    waiting: set[int] = set()
    flying: list[Message] = []
    for number, lane in enumerate(told, 1):
        batch = lanes.begin(Cursor(1, number))
        lanes.add(message(number, lane), batch)
        lanes.end(batch)
        waiting.add(number)
    while len(lanes):
        now += 1
        if len(flying) < 3 and (one := lanes.take(now)):
            assert one.lane not in {other.lane for other in flying}
            flying.append(one)
        if not flying or chance.random() < 0.3:
            continue
        one = flying.pop(chance.randrange(len(flying)))
        fate = chance.random()
        if fate < 0.5:
            sent.setdefault(one.lane, []).append(one.place[1])
            waiting.discard(one.place[1])
            lanes.done(one)
        else:
            if fate > 0.8 and one.id not in lanes.kept:
                lanes.keep(one)
                waiting.discard(one.place[1])
            lanes.again(one, now + chance.randrange(3))
        assert lanes.cursor.n < min(waiting, default=len(told) + 1)
    assert all(order == sorted(order) for order in sent.values())
    assert sorted(n for order in sent.values() for n in order) == [
        number for number, _ in enumerate(told, 1)
    ]
    assert lanes.cursor.n == len(told)


def test_what_is_told_twice_is_sent_once() -> None:
    lanes = Lanes(START)
    lanes.add_kept([message(5, "a")])
    for number in (4, 5):
        batch = lanes.begin(Cursor(1, number))
        lanes.add(message(number, "a"), batch)
        lanes.end(batch)
    first = lanes.take(1)
    assert first is not None
    assert (first.id, lanes.take(1)) == ("m4", None), "the older one goes first"
    assert (len(lanes), lanes.cursor) == (2, START)


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
    changes = [c for entry in await store.read(START) for c in entry.changes]

    def told(**wish: Any) -> list[str]:
        endpoint = asked(**wish)
        found = (of_change(change, endpoint) for change in changes)
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
    changes = [c for entry in await store.read(START) for c in entry.changes]
    assert told() == ["task.failed"] * 2, "a second run that failed at once"


@pytest.mark.anyio
async def test_both_formats_carry_the_task_as_everybody_is_shown_it() -> None:
    store = MemoryStore()
    await store.store([event("succeeded", "t/1", name="shop.pay")], now=NOW)
    (change,) = (c for entry in await store.read(START) for c in entry.changes)
    plain, cloud = (
        of_change(change, asked(format=format_))
        for format_ in ("herald", "cloudevents")
    )
    assert plain is not None
    assert cloud is not None
    task = (await store.page(Filter())).tasks[0]
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
